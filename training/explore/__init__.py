"""What is in a data set, before anything is trained on it: what a classifier could learn that is not the disease."""

import csv
from pathlib import Path

import numpy as np

from brain_tumor.atomic import atomic_file
from training.atomic import write_json
from training.data import DataSet
from training.data.layout import SPLITS
from training.explore import page
from training.explore.measure import Measured, measure
from training.explore.summary import Summary, summarise

SUMMARY, IMAGES = "explore.json", "images.csv"
_SAMPLES = 4  # of each class and split


def explore(data: DataSet, out: Path, seed: int) -> Summary:
    """Look at every image of ``data`` once; the same data and seed give the same numbers.

    Writes ``report.html`` with its figures, ``explore.json`` (what is returned) and ``images.csv`` (a row an image)
    into ``out``.

    Raises:
        DataError: an image cannot be read; the message names it.
    """
    chosen = choose(data, seed)
    survey = measure(data, {file for classes in chosen.values() for files in classes.values() for file in files})
    summary = {
        "data": data.name,
        "fingerprint": data.fingerprint(),
        "seed": seed,
        **summarise(survey, data.class_names),
        "samples": chosen,
    }
    out.mkdir(parents=True, exist_ok=True)
    _write_images(survey.images, out / IMAGES)
    page.write(data, survey, summary, out)
    write_json(out / SUMMARY, summary)
    return summary


def choose(data: DataSet, seed: int) -> dict[str, dict[str, list[str]]]:
    """A few images of each class and split, by these."""
    generator = np.random.default_rng(seed)
    chosen: dict[str, dict[str, list[str]]] = {}
    for split, files in zip(SPLITS, (data.training, data.testing), strict=True):
        labels = data.labels(files)
        chosen[split] = {}
        for index, name in enumerate(data.class_names):
            places = generator.permutation(np.flatnonzero(labels == index))[:_SAMPLES]
            chosen[split][name] = [files[place] for place in sorted(places)]
    return chosen


def _write_images(images: list[Measured], path: Path) -> None:
    with atomic_file(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(Measured._fields)
        table.writerows(images)
