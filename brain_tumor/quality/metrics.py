"""The metrics of a classifier, with intervals that respect which images belong together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

_RESAMPLES = 1000
_SEED = 0
_INTERVAL = (2.5, 97.5)  # percentiles
_BINS = 15  # of confidence, all equally wide (Guo et al. 2017)
_MIN_PROBABILITY = 1e-12  # whose logarithm is taken

Metrics = dict[str, Any]  # from names to numbers, or from names to one number for each class


@dataclass(frozen=True)
class Predictions:
    """A model's predictions for images whose class is known.

    Attributes:
        class_names: In the order of the model's outputs.
        probabilities: Calibrated, float64 (n, class).
        labels: int64 (n,).
        groups: int64 (n,); images of one patient and copies of one image have one group.
        healthy: The class without tumour; None where none is known, and then tumours missed are not counted.
    """

    class_names: tuple[str, ...]
    probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    healthy: str | None = None

    @property
    def healthy_label(self) -> int | None:
        """The index of the class without tumour."""
        return None if self.healthy is None else self.class_names.index(self.healthy)

    def only(self, selection: NDArray[Any]) -> "Predictions":
        """Some of the predictions, by a mask or by indices."""
        return replace(
            self,
            probabilities=self.probabilities[selection],
            labels=self.labels[selection],
            groups=self.groups[selection],
        )


def summary(predictions: Predictions) -> Metrics:
    """Every metric, its 95 % interval under ``intervals``, the confusion matrix (rows are labels), and counts."""
    metrics = measure(predictions, np.ones(len(predictions.labels)))
    metrics["intervals"] = intervals(predictions, measure)
    predicted = predictions.probabilities.argmax(1)
    confusion = np.zeros((len(predictions.class_names),) * 2, int)
    np.add.at(confusion, (predictions.labels, predicted), 1)
    counts: Metrics = {"images": len(predictions.labels), "groups": len(set(predictions.groups.tolist()))}
    healthy = predictions.healthy_label
    if healthy is not None:
        counts["tumours"] = int((predictions.labels != healthy).sum())
        counts["tumours_missed"] = int(((predictions.labels != healthy) & (predicted == healthy)).sum())
    return counts | metrics | {"confusion_matrix": confusion.tolist()}


def measure(predictions: Predictions, weights: NDArray[np.float64]) -> Metrics:
    """The metrics of weighted images; a metric that is not defined is None.

    Accuracy; macro F1, over the classes that occur; each class's sensitivity, specificity and one-vs-rest AUROC;
    expected calibration error; Brier score (0 to 2, the sum over the classes); negative log-likelihood in nat; and the
    share of tumours that are predicted to be none.

    Args:
        predictions: For n images.
        weights: How often each image counts, (n,).
    """
    probabilities, labels = predictions.probabilities, predictions.labels
    classes = len(predictions.class_names)
    predicted = probabilities.argmax(1)
    confusion = np.bincount(labels * classes + predicted, weights, classes**2).reshape(classes, classes)
    actual_counts, predicted_counts, correct_counts = confusion.sum(1), confusion.sum(0), confusion.diagonal()
    total, occurring = weights.sum(), actual_counts + predicted_counts > 0
    correct = predicted == labels
    log_likelihood = np.log(np.maximum(probabilities[np.arange(len(labels)), labels], _MIN_PROBABILITY))
    metrics: Metrics = {
        "accuracy": _ratio(correct_counts.sum(), total),
        "macro_f1": _ratio(
            (2 * correct_counts[occurring] / (actual_counts + predicted_counts)[occurring]).sum(), occurring.sum()
        ),
        "sensitivity": _by_class(
            predictions, [_ratio(hits, actual) for hits, actual in zip(correct_counts, actual_counts, strict=True)]
        ),
        "specificity": _by_class(
            predictions,
            [
                _ratio(total - actual - positive + hits, total - actual)
                for hits, actual, positive in zip(correct_counts, actual_counts, predicted_counts, strict=True)
            ],
        ),
        "auroc": _by_class(
            predictions, [auroc(probabilities[:, index], labels == index, weights) for index in range(classes)]
        ),
        "expected_calibration_error": calibration_error(probabilities.max(1), correct, weights),
        "brier": _ratio((weights * ((probabilities - np.eye(classes)[labels]) ** 2).sum(1)).sum(), total),
        "negative_log_likelihood": _ratio(-(weights * log_likelihood).sum(), total),
    }
    healthy = predictions.healthy_label
    if healthy is not None:
        tumours = total - actual_counts[healthy]
        metrics["tumours_missed_rate"] = _ratio(predicted_counts[healthy] - correct_counts[healthy], tumours)
    return metrics


def intervals(predictions: Predictions, of: Callable[[Predictions, NDArray[np.float64]], Metrics]) -> Metrics:
    """95 % intervals of every metric of predictions; see ``resampled``.

    Args:
        predictions: For n images.
        of: The metrics, from predictions and the images' weights, (n,).
    """
    return resampled(predictions.groups, lambda weights: of(predictions, weights))


def resampled(groups: NDArray[np.int64], of: Callable[[NDArray[np.float64]], Metrics]) -> Metrics:
    """95 % percentile intervals of every metric, by a bootstrap that draws whole groups.

    Field and Welsh 2007, "Bootstrapping clustered data". Copies and neighbouring slices hold the same evidence; a
    bootstrap that draws single images would count it twice.

    Args:
        groups: The group of each image: int64 (n,).
        of: The metrics, from the images' weights, (n,).

    Returns:
        [low, high] of each metric; None where it is never defined.
    """
    rng = np.random.default_rng(_SEED)
    drawn, group_of_image = np.unique(groups, return_inverse=True)
    resamples = []
    for _ in range(_RESAMPLES):
        times_drawn = np.bincount(rng.integers(len(drawn), size=len(drawn)), minlength=len(drawn))
        resamples.append(_flat(of(times_drawn[group_of_image].astype(float))))
    return _nested({name: _interval([resample[name] for resample in resamples]) for name in resamples[0]})


def auroc(scores: NDArray[np.float64], positive: NDArray[np.bool_], weights: NDArray[np.float64]) -> float | None:
    """The area under the receiver operating characteristic, computed as the probability of superiority.

    That is the probability that a positive scores above a negative, ties counting half (Mann-Whitney).

    Args:
        scores: (n,).
        positive: Which images are positive, (n,).
        weights: How often each image counts, (n,).
    """
    of_positives, of_negatives = weights * positive, weights * ~positive
    if not of_positives.sum() or not of_negatives.sum():
        return None
    rank = rankdata(scores, "dense") - 1
    positives, negatives = np.bincount(rank, of_positives), np.bincount(rank, of_negatives)
    negatives_below = np.cumsum(negatives) - negatives
    superior = (positives * (negatives_below + negatives / 2)).sum()
    return float(superior / (of_positives.sum() * of_negatives.sum()))


def calibration_error(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], weights: NDArray[np.float64]
) -> float | None:
    """The expected calibration error: the mean distance between confidence and accuracy, over bins of confidence."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    distances = np.bincount(bins, weights * (correct - confidence), _BINS)
    return _ratio(np.abs(distances).sum(), weights.sum())


def rounded(document: Any, digits: int = 4) -> Any:
    """The document with every number rounded to ``digits`` decimals, and 0 in place of -0."""
    if isinstance(document, dict):
        return {name: rounded(value, digits) for name, value in document.items()}
    if isinstance(document, list | tuple):
        return [rounded(value, digits) for value in document]
    return round(document, digits) + 0.0 if isinstance(document, float) else document


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None


def _by_class(predictions: Predictions, values: Sequence[float | None]) -> dict[str, float | None]:
    return dict(zip(predictions.class_names, values, strict=True))


def _interval(values: Sequence[float | None]) -> list[float] | None:
    defined = [value for value in values if value is not None]
    return [float(value) for value in np.percentile(defined, _INTERVAL)] if defined else None


def _flat(metrics: Metrics) -> dict[tuple[str, ...], float | None]:
    flat: dict[tuple[str, ...], float | None] = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            flat |= {(name, inner): inner_value for inner, inner_value in value.items()}
        else:
            flat[(name,)] = value
    return flat


def _nested(flat: dict[tuple[str, ...], Any]) -> Metrics:
    metrics: Metrics = {}
    for (name, *inner), value in flat.items():
        if inner:
            metrics.setdefault(name, {})[inner[0]] = value
        else:
            metrics[name] = value
    return metrics
