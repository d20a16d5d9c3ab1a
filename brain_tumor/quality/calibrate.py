"""Temperature scaling, which calibrates probabilities, and the out-of-distribution (OOD) score with its threshold."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

_ACCEPTED = 0.99  # share of the validation images that the threshold lets pass
_FAR = 0.75  # share of the images whose scores say little of what is near a threshold
_MIN_TEMPERATURE, _MAX_TEMPERATURE = 0.05, 20.0


def temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature with the least negative log-likelihood on the validation images (Guo et al. 2017).

    Args:
        logits: float32 (n, class).
        labels: int64 (n,).
    """

    return _least(lambda divisor: negative_log_likelihood(logits, labels, divisor))


def temperature_like(logits: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """The temperature that brings logits closest to given probabilities: the least cross-entropy.

    For another form of a model that is calibrated already. Labels would need far more images: where all of a few
    hundred are predicted rightly, they say that no confidence is too high.

    Args:
        logits: Of the other form, (n, class); a constant added to all logits of an image changes nothing.
        probabilities: The calibrated model's, (n, class).
    """
    return _least(lambda divisor: float(-(probabilities * log_softmax(logits / divisor, axis=1)).sum(1).mean()))


def _least(loss: Callable[[float], float]) -> float:
    """The temperature with the least loss."""
    bounds = np.log(_MIN_TEMPERATURE), np.log(_MAX_TEMPERATURE)
    return float(np.exp(minimize_scalar(lambda log: loss(float(np.exp(log))), bounds=bounds, method="bounded").x))


def negative_log_likelihood(logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float) -> float:
    """The mean over the images, with the natural logarithm."""
    return float(-log_softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels].mean())


def energy(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The OOD score, -logsumexp of the uncalibrated logits, larger for OOD samples: float32 (n,)."""
    return -logsumexp(logits, axis=1)


def threshold(logits: NDArray[np.float32]) -> float:
    """The energy that 99 % of the validation images do not exceed."""
    return float(np.quantile(energy(logits), _ACCEPTED))


def threshold_like(scores: NDArray[np.floating], given: NDArray[np.floating], threshold: float) -> float:
    """The threshold for other OOD scores of the same images that stands where a threshold of the given scores stood.

    It moves by the mean difference of the quarter of the images that come nearest to it from below: far below, another
    form may give all images one score. A quantile of a few hundred scores would move with two or three of them.

    Args:
        scores: The other scores, (n,).
        given: The scores that the threshold is of, (n,).
        threshold: That threshold.
    """
    near = given >= np.quantile(given, _FAR)
    return threshold + float((scores - given)[near].mean())
