"""How far a classifier gets that never sees a tumour: on the border, the file's form, or the brightness alone."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from training.data import DataError
from training.explore.measure import Measured
from training.metrics import Metrics, Predictions, intervals, rounded

_FOLDS = 5
_TREES = 200
_LEAVES = 5  # images in a leaf at least

# What each classifier sees; a word is given as its place among all such words.
SHORTCUTS: dict[str, Callable[[Measured], Sequence[float | str]]] = {
    "border": lambda p: (p.border_mean, p.border_standard_deviation, p.border_black),
    "size and format": lambda p: (p.width, p.height, p.width / p.height, p.bytes, p.format, p.mode),
    "brightness": lambda p: (p.mean, p.standard_deviation, p.black),
}
TOGETHER = "all of these"


def shortcuts(images: Sequence[Measured], labels: NDArray[np.int64], groups: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Each shortcut's balanced accuracy, with a 95 % interval, next to chance: on folds that keep groups whole.

    Args:
        images: of Training. labels, groups: int64 (n,).

    Raises:
        DataError: a class has fewer than two groups.
    """
    classes = sorted(set(labels.tolist()))
    columns = {name: _columns([of(image) for image in images]) for name, of in SHORTCUTS.items()}
    columns[TOGETHER] = np.concatenate(list(columns.values()), axis=1)
    least = min(len(set(groups[labels == each].tolist())) for each in classes)
    if least < 2:
        raise DataError("a class of Training has a single group of images: nothing can be learnt from it")
    folds = StratifiedGroupKFold(min(_FOLDS, least), shuffle=True, random_state=0)
    splits = list(folds.split(labels, labels, groups))
    found = []
    for name, features in columns.items():
        forest = RandomForestClassifier(
            _TREES, min_samples_leaf=_LEAVES, class_weight="balanced", random_state=0, n_jobs=-1
        )
        answers = cross_val_predict(forest, features, labels, cv=splits)
        given = Predictions(tuple(map(str, classes)), np.eye(len(classes))[answers], labels, groups)
        value = _balanced_accuracy(given, np.ones(len(labels)))["balanced_accuracy"]
        interval = intervals(given, _balanced_accuracy)["balanced_accuracy"]
        found.append({"sees": name, "balanced_accuracy": value, "interval": interval, "chance": 1 / len(classes)})
    return rounded(found)


def _balanced_accuracy(answers: Predictions, weights: NDArray[np.float64]) -> Metrics:
    """The mean of the classes' sensitivities."""
    total = np.bincount(answers.labels, weights)
    right = np.bincount(answers.labels, weights * (answers.probabilities.argmax(1) == answers.labels))
    return {"balanced_accuracy": float((right[total > 0] / total[total > 0]).mean())}


def _columns(rows: Sequence[Sequence[float | str]]) -> NDArray[np.float64]:
    """(n, feature)."""
    columns = []
    for column in zip(*rows, strict=True):
        words = sorted({value for value in column if isinstance(value, str)})
        columns.append([words.index(value) if isinstance(value, str) else value for value in column])
    return np.array(columns, float).T
