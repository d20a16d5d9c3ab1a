"""Whether the served model says of test images what the evaluation said of them."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from brain_tumor.image import Preprocessor
from brain_tumor.metadata import ModelMetadata
from training.data import DataSet, read
from training.evaluate import PREDICTIONS
from training.serving import ServingError, served

_ASKED = 64  # test images, evenly spread
_BATCH = 16
_TOLERANCE = 1e-3  # of a probability


def check(version: Path, run: Path, data: DataSet, card: ModelMetadata) -> dict[str, Any]:
    """Serve ``version`` and ask it for test images.

    Returns:
        how many were asked for, and the largest difference in probability from the evaluation of ``run``.

    Raises:
        ServingError: the server does not start or answer, or answers otherwise.
    """
    with (run / "evaluation" / PREDICTIONS).open(newline="", encoding="utf-8") as stream:
        rows = {row["file"]: [float(row[name]) for name in card.class_names] for row in csv.DictReader(stream)}
    files = list(data.testing[:: max(1, len(data.testing) // _ASKED)])
    pixels = read(data.folder, files, Preprocessor(card.height, card.width, card.resampling))
    with served(version) as model:
        answers = [model.probabilities(pixels[start : start + _BATCH]) for start in range(0, len(files), _BATCH)]
    difference = float(np.abs(np.concatenate(answers) - [rows[file] for file in files]).max())
    if difference > _TOLERANCE:
        raise ServingError(f"{version} differs from what was evaluated: by {difference:.2g} in a probability")
    return {"images": len(files), "largest_difference": difference}
