"""Thresholds chosen on validation for a wanted sensitivity, and what they give on the test images."""

import math

import numpy as np
from numpy.typing import NDArray

from training.metrics import HEALTHY, Metrics, Predictions

_SENSITIVITIES = (0.9, 0.95, 0.99)
_STEP = 1e-6  # thresholds are cut to it: a sure network's lie close to 0 and to 1
ANY_TUMOUR = "any tumour"


def operating_points(validation: Predictions, test: Predictions) -> list[Metrics]:
    """For each class against the rest, and any tumour against none: what a threshold on its probability gives.

    The threshold is the highest that finds enough on validation; what it gives is measured with it as it is written. A
    class that validation has no image of is left out.
    """
    points = []
    for name in [*([ANY_TUMOUR] if HEALTHY in test.class_names else []), *test.class_names]:
        known, unknown = _scores(validation, name), _scores(test, name)
        if not known[1].any():
            continue
        for wanted in _SENSITIVITIES:
            scores = np.sort(known[0][known[1]])
            lowest = scores[-math.ceil(round(wanted * len(scores), 6))]
            threshold = round(float(np.floor(lowest / _STEP) * _STEP), 6)
            above = unknown[0] >= threshold
            points.append(
                {
                    "finds": name,
                    "wanted_sensitivity": wanted,
                    "threshold": threshold,
                    "sensitivity": float(above[unknown[1]].mean()) if unknown[1].any() else None,
                    "specificity": float(1 - above[~unknown[1]].mean()) if not unknown[1].all() else None,
                }
            )
    return points


def _scores(answers: Predictions, name: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The score (n,) that is thresholded, and whether the image shows what is sought (n,)."""
    if name == ANY_TUMOUR:
        healthy = answers.class_names.index(HEALTHY)
        return 1 - answers.probabilities[:, healthy], answers.labels != healthy
    index = answers.class_names.index(name)
    return answers.probabilities[:, index], answers.labels == index
