"""Whether the served model predicts for test images what the evaluation found."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from brain_tumor.metadata import ModelMetadata
from brain_tumor.preprocess import Preprocessor
from training.data.data_set import DataSet
from training.data.reading import read
from training.evaluate.evaluated_images import PREDICTIONS
from training.evaluate.evaluation import FOLDER
from training.serving import ServingError, served

_IMAGES = 64  # at most about so many test images, evenly spread
_BATCH = 16
_TOLERANCE = 1e-3  # of a probability


def check(version: Path, run: Path, data_set: DataSet, metadata: ModelMetadata) -> dict[str, Any]:
    """Serve a model and compare its predictions with those of the evaluation.

    Args:
        version: The folder of the model's version.
        run: The run's folder, evaluated.
        data_set: The images; some of its test images are used.
        metadata: The run's metadata.

    Returns:
        How many images were used, and the largest difference in a probability.

    Raises:
        ServingError: The server does not start or gives no prediction, or the difference is too large.
    """
    with (run / FOLDER / PREDICTIONS).open(newline="", encoding="utf-8") as stream:
        evaluated = {row["file"]: [float(row[name]) for name in metadata.class_names] for row in csv.DictReader(stream)}
    files = list(data_set.testing[:: max(1, len(data_set.testing) // _IMAGES)])
    pixels = read(data_set.folder, files, Preprocessor(metadata.image))
    with served(version) as model:
        batches = [model.probabilities(pixels[start : start + _BATCH]) for start in range(0, len(files), _BATCH)]
    difference = float(np.abs(np.concatenate(batches) - [evaluated[file] for file in files]).max())
    if difference > _TOLERANCE:
        raise ServingError(f"{version} differs from what was evaluated: by {difference:.2g} in a probability")
    return {"images": len(files), "largest_difference": difference}
