"""Thresholds selected on validation for a wanted sensitivity, and what they give on the test images."""

import math

import numpy as np
from numpy.typing import NDArray

from brain_tumor.quality.metrics import Metrics, Predictions

_SENSITIVITIES = (0.9, 0.95, 0.99)
_STEP = 1e-6  # of thresholds; so fine because those of a confident network are close to 0 or 1
ANY_TUMOUR = "any tumour"


def operating_points(validation: Predictions, test: Predictions) -> list[Metrics]:
    """The operating points of each class against the rest, and of any tumour against the class without tumour.

    A threshold is the highest probability that gives the wanted sensitivity on validation, rounded down to its six
    written decimals. Sensitivity and specificity on the test images are measured with the rounded threshold. A class
    without an image in validation has no operating point.
    """
    points = []
    for name in [*([ANY_TUMOUR] if test.healthy is not None else []), *test.class_names]:
        validation_scores, in_validation = _scores(validation, name)
        test_scores, in_test = _scores(test, name)
        if not in_validation.any():
            continue
        positives = np.sort(validation_scores[in_validation])
        for wanted in _SENSITIVITIES:
            lowest = positives[-math.ceil(round(wanted * len(positives), 6))]
            threshold = round(float(np.floor(lowest / _STEP) * _STEP), 6)
            above = test_scores >= threshold
            points.append(
                {
                    "finds": name,
                    "wanted_sensitivity": wanted,
                    "threshold": threshold,
                    "sensitivity": float(above[in_test].mean()) if in_test.any() else None,
                    "specificity": float(1 - above[~in_test].mean()) if not in_test.all() else None,
                }
            )
    return points


def _scores(predictions: Predictions, name: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The score (n,) to which the threshold applies, and whether the image shows what is sought (n,)."""
    healthy = predictions.healthy_label
    if name == ANY_TUMOUR and healthy is not None:
        return 1 - predictions.probabilities[:, healthy], predictions.labels != healthy
    label = predictions.class_names.index(name)
    return predictions.probabilities[:, label], predictions.labels == label
