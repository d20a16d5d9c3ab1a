"""How many out-of-distribution (OOD) samples, images that are no scans, the OOD score flags."""

import keras
import numpy as np

from brain_tumor.metadata import ImageSpec
from brain_tumor.preprocess import Preprocessor
from brain_tumor.quality.calibrate import energy
from brain_tumor.quality.ood_samples import TEST_FAMILIES, prepared

_SEED = 20


def ood_samples_flagged(model: keras.Model, image: ImageSpec, threshold: float, samples: int = 200) -> dict[str, float]:
    """The share of each family of OOD samples whose score is above the threshold.

    Args:
        model: A model that returns logits.
        image: The images that it takes; they are square.
        threshold: The OOD score above which an image is flagged.
        samples: Number of samples of each family.
    """
    rng, preprocessor = np.random.default_rng(_SEED), Preprocessor(image)
    flagged = {}
    for name, family in TEST_FAMILIES.items():
        pixels = prepared(np.stack([family(rng, image.width) for _ in range(samples)]), preprocessor)
        flagged[name] = round(float((energy(model.predict(pixels, verbose=0)) > threshold).mean()), 4)
    return flagged
