"""How accurate classifiers are that never see a tumour: they see only the border, the file, or the brightness."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from brain_tumor.quality.metrics import Metrics, Predictions, intervals, rounded
from training.data.errors import DataError
from training.explore.measure import Measured

_FOLDS = 5
_MIN_LEAF = 5  # images

# The features that each classifier sees. A text is replaced by its index among all texts of its column.
SHORTCUTS: dict[str, Callable[[Measured], Sequence[float | str]]] = {
    "border": lambda image: (image.border_mean, image.border_standard_deviation, image.border_black),
    "size and format": lambda image: (
        image.width,
        image.height,
        image.width / image.height,
        image.bytes,
        image.format,
        image.mode,
    ),
    "brightness": lambda image: (image.mean, image.standard_deviation, image.black),
}
TOGETHER = "all of these"


def shortcuts(
    images: Sequence[Measured], labels: NDArray[np.int64], groups: NDArray[np.int64], trees: int = 200
) -> list[dict[str, Any]]:
    """The balanced accuracy of each shortcut by cross-validation; the folds keep groups whole.

    Args:
        images: The training images.
        labels: The class of each image: int64 (n,).
        groups: The group of each image: int64 (n,).
        trees: Number of trees in each random forest.

    Returns:
        For each shortcut, and for all together: what it ``sees``, its ``balanced_accuracy`` with a 95 % ``interval``,
        and ``chance``.

    Raises:
        DataError: A class has fewer than two groups.
    """
    classes = sorted(set(labels.tolist()))
    columns = {name: _columns([of(image) for image in images]) for name, of in SHORTCUTS.items()}
    columns[TOGETHER] = np.concatenate(list(columns.values()), axis=1)
    fewest = min(len(set(groups[labels == label].tolist())) for label in classes)
    if fewest < 2:
        raise DataError("a class of Training has a single group of images: nothing can be learnt from it")
    folds = StratifiedGroupKFold(min(_FOLDS, fewest), shuffle=True, random_state=0)
    splits = list(folds.split(labels, labels, groups))
    results = []
    for name, features in columns.items():
        forest = RandomForestClassifier(
            trees, min_samples_leaf=_MIN_LEAF, class_weight="balanced", random_state=0, n_jobs=-1
        )
        predicted = cross_val_predict(forest, features, labels, cv=splits)
        predictions = Predictions(tuple(map(str, classes)), np.eye(len(classes))[predicted], labels, groups)
        value = _balanced_accuracy(predictions, np.ones(len(labels)))["balanced_accuracy"]
        interval = intervals(predictions, _balanced_accuracy)["balanced_accuracy"]
        results.append({"sees": name, "balanced_accuracy": value, "interval": interval, "chance": 1 / len(classes)})
    return rounded(results)


def _balanced_accuracy(predictions: Predictions, weights: NDArray[np.float64]) -> Metrics:
    """The mean of the classes' sensitivities."""
    total = np.bincount(predictions.labels, weights)
    is_right = predictions.probabilities.argmax(1) == predictions.labels
    right = np.bincount(predictions.labels, weights * is_right)
    return {"balanced_accuracy": float((right[total > 0] / total[total > 0]).mean())}


def _columns(rows: Sequence[Sequence[float | str]]) -> NDArray[np.float64]:
    """The rows as numbers: float64 (n, feature)."""
    columns = []
    for column in zip(*rows, strict=True):
        texts = sorted({value for value in column if isinstance(value, str)})
        columns.append([texts.index(value) if isinstance(value, str) else value for value in column])
    return np.array(columns, float).T
