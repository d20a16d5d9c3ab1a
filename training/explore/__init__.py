"""What is in a data set, before anything is trained on it: what a classifier could learn that is not the disease."""

import csv
from pathlib import Path

import numpy as np

from training.data import DataSet
from training.data.layout import SPLITS
from training.explore import page
from training.explore.measure import Measured, measure
from training.explore.summary import Summary, summarise
from training.published import published, write_json

SUMMARY, PICTURES = "explore.json", "pictures.csv"
_SAMPLES = 4  # of each class and split


def explore(data: DataSet, out: Path, seed: int) -> Summary:
    """Look at every picture of ``data`` once; the same data and seed give the same numbers.

    Writes ``report.html`` with its figures, ``explore.json`` (what is returned) and ``pictures.csv`` (a row a picture)
    into ``out``.

    Raises:
        DataError: a picture cannot be read; the message names it.
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
    _write_pictures(survey.pictures, out / PICTURES)
    page.write(data, survey, summary, out)
    write_json(out / SUMMARY, summary)
    return summary


def choose(data: DataSet, seed: int) -> dict[str, dict[str, list[str]]]:
    """A few pictures of each class and split, by these."""
    generator = np.random.default_rng(seed)
    chosen: dict[str, dict[str, list[str]]] = {}
    for split, files in zip(SPLITS, (data.training, data.testing), strict=True):
        labels = data.labels(files)
        chosen[split] = {}
        for index, name in enumerate(data.class_names):
            places = generator.permutation(np.flatnonzero(labels == index))[:_SAMPLES]
            chosen[split][name] = [files[place] for place in sorted(places)]
    return chosen


def _write_pictures(pictures: list[Measured], path: Path) -> None:
    with published(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(Measured._fields)
        table.writerows(pictures)
