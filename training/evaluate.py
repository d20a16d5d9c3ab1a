"""The figures a card gives, measured on Testing alone."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.calibrate import energy, negative_log_likelihood
from training.outliers import MEASURED

_NO_TUMOUR = "notumor"
_STRANGERS = 200  # of each family
_STRANGERS_SEED = 20


def classification(
    logits: NDArray[np.float32], labels: NDArray[np.int64], class_names: Sequence[str], temperature: float
) -> dict[str, Any]:
    """Accuracy, sensitivity of each class, confusion matrix (rows: the truth), tumours missed, calibrated NLL.

    Args:
        logits: (n, class). labels: int64 (n,).
    """
    predicted = logits.argmax(1)
    confusion = np.zeros((len(class_names),) * 2, int)
    np.add.at(confusion, (labels, predicted), 1)
    figures: dict[str, Any] = {
        "pictures": len(labels),
        "accuracy": round(float((predicted == labels).mean()), 4),
        "sensitivity": {
            name: round(float(row[index] / row.sum()), 4)
            for index, (name, row) in enumerate(zip(class_names, confusion, strict=True))
        },
        "confusion_matrix": confusion.tolist(),
        "negative_log_likelihood": round(negative_log_likelihood(logits, labels, temperature), 4),
    }
    if _NO_TUMOUR in class_names:
        healthy = list(class_names).index(_NO_TUMOUR)
        figures["tumours"] = int((labels != healthy).sum())
        figures["tumours_missed"] = int(((labels != healthy) & (predicted == healthy)).sum())
    return figures


def strangers(model: keras.Model, side: int, threshold: float) -> dict[str, float]:
    """The share of each family of pictures that are no scans which the threshold flags."""
    rng = np.random.default_rng(_STRANGERS_SEED)
    flagged = {}
    for name, family in MEASURED.items():
        pixels = np.stack([family(rng, side) for _ in range(_STRANGERS)])
        flagged[name] = round(float((energy(model.predict(pixels, verbose=0)) > threshold).mean()), 4)
    return flagged
