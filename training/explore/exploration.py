"""Explores a data set before anything is trained on it: measures its images and writes the report."""

import csv
from pathlib import Path

import numpy as np

from brain_tumor.atomic import atomic_file, write_json
from training.data.data_set import DataSet
from training.explore import page
from training.explore.measure import Measured, measure
from training.explore.summary import Summary, summarise
from training.layout import SPLITS

SUMMARY, IMAGES = "explore.json", "images.csv"
_SAMPLES = 4  # of each class and split


def explore(data: DataSet, out: Path, seed: int) -> Summary:
    """Look at every image of a data set once; the same data and seed give the same numbers.

    Args:
        data: The data set.
        out: The folder to write to: the report with its figures, ``explore.json`` (the result) and ``images.csv`` (one
            row per image).
        seed: Another seed shows other samples.

    Returns:
        The content of ``explore.json``.

    Raises:
        DataError: An image cannot be read; the message names it.
    """
    samples = sample_files(data, seed)
    survey = measure(data, {file for classes in samples.values() for files in classes.values() for file in files})
    summary = {
        "data": data.name,
        "fingerprint": data.fingerprint(),
        "seed": seed,
        **summarise(survey, data.class_names),
        "samples": samples,
    }
    out.mkdir(parents=True, exist_ok=True)
    _write_images(survey.images, out / IMAGES)
    page.write(data, survey, summary, out)
    write_json(out / SUMMARY, summary)
    return summary


def sample_files(data: DataSet, seed: int) -> dict[str, dict[str, list[str]]]:
    """Draw a few images of each split and class, in that order of keys."""
    generator = np.random.default_rng(seed)
    samples: dict[str, dict[str, list[str]]] = {}
    for split, files in zip(SPLITS, (data.training, data.testing), strict=True):
        labels = data.labels(files)
        samples[split] = {}
        for label, name in enumerate(data.class_names):
            indices = generator.permutation(np.flatnonzero(labels == label))[:_SAMPLES]
            samples[split][name] = [files[index] for index in sorted(indices)]
    return samples


def _write_images(images: list[Measured], path: Path) -> None:
    with atomic_file(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(Measured._fields)
        table.writerows(images)
