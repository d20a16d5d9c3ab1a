"""Temperature scaling, which calibrates probabilities, and the out-of-distribution (OOD) score with its threshold."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

_ACCEPTED = 0.99  # share of the validation images that the threshold lets pass
_MIN_TEMPERATURE, _MAX_TEMPERATURE = 0.05, 20.0


def temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature with the least negative log-likelihood on the validation images (Guo et al. 2017).

    Args:
        logits: float32 (n, class).
        labels: int64 (n,).
    """

    def loss(log_t: float) -> float:
        return negative_log_likelihood(logits, labels, float(np.exp(log_t)))

    bounds = np.log(_MIN_TEMPERATURE), np.log(_MAX_TEMPERATURE)
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def negative_log_likelihood(logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float) -> float:
    """The mean over the images, with the natural logarithm."""
    return float(-log_softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels].mean())


def energy(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The OOD score, -logsumexp of the uncalibrated logits, larger for OOD samples: float32 (n,)."""
    return -logsumexp(logits, axis=1)


def threshold(logits: NDArray[np.float32]) -> float:
    """The energy that 99 % of the validation images do not exceed."""
    return float(np.quantile(energy(logits), _ACCEPTED))
