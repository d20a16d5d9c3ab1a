"""How many out-of-distribution (OOD) samples, images that are no scans, the OOD score flags."""

import keras
import numpy as np

from training.train.calibrate import energy
from training.train.ood import TEST_FAMILIES

_SEED = 20


def ood_samples_flagged(model: keras.Model, side: int, threshold: float, samples: int = 200) -> dict[str, float]:
    """The share of each family of OOD samples whose score is above the threshold.

    Args:
        model: A model that returns logits.
        side: Side of its images, in pixels.
        threshold: The OOD score above which an image is flagged.
        samples: Number of samples of each family.
    """
    rng = np.random.default_rng(_SEED)
    flagged = {}
    for name, family in TEST_FAMILIES.items():
        pixels = np.stack([family(rng, side) for _ in range(samples)])
        flagged[name] = round(float((energy(model.predict(pixels, verbose=0)) > threshold).mean()), 4)
    return flagged
