"""What the gateway will compare its traffic with: how the validation images and their predictions are spread."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from brain_tumor.quality import calibrate
from brain_tumor.quality.reference import measure
from brain_tumor.reference import Histogram, brightness


def reference_of(
    pixels: NDArray[np.uint8], original_sizes: list[int], logits: NDArray[np.float32], temperature: float
) -> dict[str, Histogram]:
    """Measure it; none of fewer than 200 images.

    Args:
        pixels: The validation images as the network takes them, uint8 (n, height, width, 3).
        original_sizes: Pixels of their longer sides, before they were prepared.
        logits: float32 (n, class).
        temperature: What divides the logits.
    """
    probabilities = softmax(logits / temperature, axis=1)
    return measure(probabilities, calibrate.energy(logits), [brightness(image) for image in pixels], original_sizes)
