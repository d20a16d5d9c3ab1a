"""What turns logits into honest numbers: the temperature, and the score that tells a stranger from a scan."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

_ACCEPTED = 0.99  # share of the validation images that the threshold lets pass
_COLDEST, _HOTTEST = 0.05, 20.0


def temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature that gives validation the least negative log-likelihood (Guo et al. 2017).

    Args:
        logits: (n, class). labels: int64 (n,).
    """

    def loss(log_t: float) -> float:
        return negative_log_likelihood(logits, labels, float(np.exp(log_t)))

    found = minimize_scalar(loss, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def negative_log_likelihood(logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float) -> float:
    """The mean over images, natural logarithm."""
    return float(-log_softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels].mean())


def energy(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The out-of-distribution score, -logsumexp of the uncalibrated logits; larger is stranger: (n,)."""
    return -logsumexp(logits, axis=1)


def threshold(logits: NDArray[np.float32]) -> float:
    """The energy that 99 % of the validation images do not exceed."""
    return float(np.quantile(energy(logits), _ACCEPTED))
