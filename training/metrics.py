"""What a classifier is judged by, with intervals that respect which images belong together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

HEALTHY = "notumor"
_RESAMPLES = 1000
_SEED = 0
_INTERVAL = (2.5, 97.5)  # percentiles
_BINS = 15  # of confidence, all equally wide (Guo et al. 2017)
_LEAST = 1e-12  # of a probability whose logarithm is taken

Figures = dict[str, Any]  # names to numbers, or to names of classes to numbers


@dataclass(frozen=True)
class Answers:
    """A model's answers to images whose class is known.

    Attributes:
        probabilities: calibrated, float64 (n, class). labels: int64 (n,). groups: int64 (n,), see Groups.
    """

    class_names: tuple[str, ...]
    probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]

    def only(self, chosen: NDArray[Any]) -> "Answers":
        """Some of them, by a mask or by places."""
        return Answers(self.class_names, self.probabilities[chosen], self.labels[chosen], self.groups[chosen])


def summary(answers: Answers) -> Figures:
    """Every figure, its 95 % interval under ``intervals``, the confusion matrix (rows: the truth) and counts."""
    figures = measure(answers, np.ones(len(answers.labels)))
    figures["intervals"] = intervals(answers, measure)
    predicted = answers.probabilities.argmax(1)
    confusion = np.zeros((len(answers.class_names),) * 2, int)
    np.add.at(confusion, (answers.labels, predicted), 1)
    counts: Figures = {"images": len(answers.labels), "groups": len(set(answers.groups.tolist()))}
    if HEALTHY in answers.class_names:
        healthy = answers.class_names.index(HEALTHY)
        counts["tumours"] = int((answers.labels != healthy).sum())
        counts["tumours_missed"] = int(((answers.labels != healthy) & (predicted == healthy)).sum())
    return counts | figures | {"confusion_matrix": confusion.tolist()}


def measure(answers: Answers, weights: NDArray[np.float64]) -> Figures:
    """The figures of weighted images: ``weights`` (n,), how often each one counts. None where one is not defined.

    Accuracy; macro F1, over the classes that occur; each class's sensitivity, specificity and one-vs-rest AUROC
    (Mann-Whitney); expected calibration error; Brier score (0 to 2, the sum over classes); negative log-likelihood in
    nat; and the share of tumours taken for none.
    """
    probabilities, labels = answers.probabilities, answers.labels
    classes = len(answers.class_names)
    predicted = probabilities.argmax(1)
    cells = np.bincount(labels * classes + predicted, weights, classes**2).reshape(classes, classes)
    truth, answered, right = cells.sum(1), cells.sum(0), cells.diagonal()
    total, some = weights.sum(), truth + answered > 0
    hits = predicted == labels
    likelihood = np.log(np.maximum(probabilities[np.arange(len(labels)), labels], _LEAST))
    figures: Figures = {
        "accuracy": _ratio(right.sum(), total),
        "macro_f1": _ratio((2 * right[some] / (truth + answered)[some]).sum(), some.sum()),
        "sensitivity": _by_class(answers, [_ratio(r, t) for r, t in zip(right, truth, strict=True)]),
        "specificity": _by_class(
            answers,
            [_ratio(total - t - a + r, total - t) for r, t, a in zip(right, truth, answered, strict=True)],
        ),
        "auroc": _by_class(
            answers, [auroc(probabilities[:, index], labels == index, weights) for index in range(classes)]
        ),
        "expected_calibration_error": calibration_error(probabilities.max(1), hits, weights),
        "brier": _ratio((weights * ((probabilities - np.eye(classes)[labels]) ** 2).sum(1)).sum(), total),
        "negative_log_likelihood": _ratio(-(weights * likelihood).sum(), total),
    }
    if HEALTHY in answers.class_names:
        healthy = answers.class_names.index(HEALTHY)
        tumours = total - truth[healthy]
        figures["tumours_missed_rate"] = _ratio(answered[healthy] - right[healthy], tumours)
    return figures


def intervals(answers: Answers, of: Callable[[Answers, NDArray[np.float64]], Figures]) -> Figures:
    """95 % percentile intervals, [low, high], of every figure: a bootstrap that draws whole groups.

    Field and Welsh 2007, "Bootstrapping clustered data". Copies and neighbouring slices say the same
    thing twice; drawing images one by one would take that for evidence.
    """
    rng = np.random.default_rng(_SEED)
    names, members = np.unique(answers.groups, return_inverse=True)
    drawn = []
    for _ in range(_RESAMPLES):
        times = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        drawn.append(_flat(of(answers, times[members].astype(float))))
    return _nested({name: _interval([each[name] for each in drawn]) for name in drawn[0]})


def auroc(scores: NDArray[np.float64], positive: NDArray[np.bool_], weights: NDArray[np.float64]) -> float | None:
    """The chance that a positive scores above a negative, ties counting half."""
    for_, against = weights * positive, weights * ~positive
    if not for_.sum() or not against.sum():
        return None
    order = rankdata(scores, "dense") - 1
    up, down = np.bincount(order, for_), np.bincount(order, against)
    below = np.cumsum(down) - down
    return float((up * (below + down / 2)).sum() / (for_.sum() * against.sum()))


def calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], weights: NDArray[np.float64]
) -> float | None:
    """Expected calibration error: how far confidence and accuracy lie apart, over bins of confidence."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    apart = np.bincount(bins, weights * (right - confidence), _BINS)
    return _ratio(np.abs(apart).sum(), weights.sum())


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None


def _by_class(answers: Answers, values: Sequence[float | None]) -> dict[str, float | None]:
    return dict(zip(answers.class_names, values, strict=True))


def _interval(values: Sequence[float | None]) -> list[float] | None:
    known = [value for value in values if value is not None]
    return [float(value) for value in np.percentile(known, _INTERVAL)] if known else None


def _flat(figures: Figures) -> dict[tuple[str, ...], float | None]:
    flat: dict[tuple[str, ...], float | None] = {}
    for name, value in figures.items():
        if isinstance(value, dict):
            flat |= {(name, inner): each for inner, each in value.items()}
        else:
            flat[(name,)] = value
    return flat


def _nested(flat: dict[tuple[str, ...], Any]) -> Figures:
    figures: Figures = {}
    for (name, *inner), value in flat.items():
        if inner:
            figures.setdefault(name, {})[inner[0]] = value
        else:
            figures[name] = value
    return figures


def rounded(document: Any, digits: int = 4) -> Any:
    """Every number in it with so many decimals, and none of them -0."""
    if isinstance(document, dict):
        return {name: rounded(value, digits) for name, value in document.items()}
    if isinstance(document, list | tuple):
        return [rounded(value, digits) for value in document]
    return round(document, digits) + 0.0 if isinstance(document, float) else document
