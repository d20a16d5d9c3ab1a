"""The test images with the model's predictions, as the report and predictions.csv show them."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain_tumor.atomic import atomic_file
from brain_tumor.quality import calibrate
from brain_tumor.quality.metrics import Predictions

PREDICTIONS = "predictions.csv"
_MAX_MISTAKES = 8  # that the report shows


@dataclass(frozen=True)
class EvaluatedImages:
    """The test images and what the model predicts for them.

    Attributes:
        files: Their paths in the data set.
        pixels: uint8 (n, height, width, 3).
        logits: float32 (n, class).
        predictions: The calibrated predictions.
        is_unseen: Whether an image belongs to the de-duplicated test set: bool (n,).
    """

    files: Sequence[str]
    pixels: NDArray[np.uint8]
    logits: NDArray[np.float32]
    predictions: Predictions
    is_unseen: NDArray[np.bool_]

    def worst_mistakes(self) -> NDArray[np.int64]:
        """Indices of the wrong predictions with the highest confidence, the highest first."""
        probabilities = self.predictions.probabilities
        confidence = probabilities.max(1)
        wrong = np.flatnonzero(probabilities.argmax(1) != self.predictions.labels)
        return wrong[np.argsort(-confidence[wrong], kind="stable")][:_MAX_MISTAKES]

    def write(self, path: Path) -> None:
        """Write a row of CSV for each image: its group, label, prediction, probabilities and OOD score."""
        predictions = self.predictions
        names = predictions.class_names
        ood_scores = calibrate.energy(self.logits)
        with atomic_file(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream)
            table.writerow(["file", "group", "deduplicated", "label", "prediction", *names, "out_of_distribution"])
            for index, file in enumerate(self.files):
                probabilities = predictions.probabilities[index]
                table.writerow(
                    [file, predictions.groups[index], int(self.is_unseen[index])]
                    + [names[predictions.labels[index]], names[probabilities.argmax()]]
                    + [f"{value:.6f}" for value in (*probabilities, ood_scores[index])]
                )
