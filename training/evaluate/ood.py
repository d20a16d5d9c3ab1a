"""How often images that are no scans are found strange."""

import keras
import numpy as np

from training.train.calibrate import energy
from training.train.ood import TEST_FAMILIES

_STRANGERS = 200  # of each family
_SEED = 20


def strangers_flagged(model: keras.Model, side: int, threshold: float) -> dict[str, float]:
    """The share of each family of images that are no scans which the threshold flags.

    Args:
        model: to logits. side: of its images, pixels.
    """
    rng = np.random.default_rng(_SEED)
    flagged = {}
    for name, family in TEST_FAMILIES.items():
        pixels = np.stack([family(rng, side) for _ in range(_STRANGERS)])
        flagged[name] = round(float((energy(model.predict(pixels, verbose=0)) > threshold).mean()), 4)
    return flagged
