"""How a model's images and predictions were spread when it was validated: what differs from that has drifted.

Training measures it, the model's metadata carry it, and the gateway counts its own traffic in the same bins.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What is counted of each image:
#   classes     the index of the predicted class
#   confidence  the largest class probability
#   ood_score   the OOD score
#   brightness  what ``brightness`` gives
#   size        pixels of the longer side, as sent
FEATURES = CLASSES, CONFIDENCE, OOD_SCORE, BRIGHTNESS, SIZE = "classes", "confidence", "ood_score", "brightness", "size"
MAX_BINS = 64  # a bin fits a byte, and a metric has not many series
_SAMPLED = 32  # rows and columns whose mean is an image's brightness, about; all of them would cost tenfold


@dataclass(frozen=True)
class Histogram:
    """Counts of values in bins.

    Attributes:
        edges: The upper bounds of all bins but the last, which has none, ascending. A bin holds its upper bound, as
            Prometheus' buckets do.
        counts: How many values each bin holds.

    Raises:
        ValueError: A field is out of range; the message says which.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.edges) < MAX_BINS or len(self.counts) != len(self.edges) + 1:
            raise ValueError(f"needs 1 to {MAX_BINS - 1} edges, and one count more than edges")
        if not all(type(edge) in (int, float) and math.isfinite(edge) for edge in self.edges):
            raise ValueError("edges must be finite numbers")
        if any(low >= high for low, high in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges must ascend")
        if not all(type(count) is int and 0 <= count < 1 << 53 for count in self.counts) or not any(self.counts):
            raise ValueError("counts must be whole numbers from 0, not all of them 0")

    def bin_of(self, value: float) -> int:
        """The index of the bin that a value is in."""
        return bisect_left(self.edges, value)


def brightness(pixels: NDArray[np.uint8]) -> float:
    """The mean of about a thousand evenly spaced pixels, 0..255.

    Args:
        pixels: An image as the model takes it, uint8 (height, width, 3).
    """
    rows, columns = (max(1, side // _SAMPLED) for side in pixels.shape[:2])
    return float(pixels[::rows, ::columns].mean())


def to_document(reference: Mapping[str, Histogram]) -> dict[str, Any]:
    """The histograms as a JSON object."""
    return {name: asdict(histogram) for name, histogram in reference.items()}


def from_document(document: object) -> dict[str, Histogram]:
    """Read what ``to_document`` made. Unknown features are ignored, so that older code can read newer metadata.

    Args:
        document: The JSON object; a feature may be missing.

    Raises:
        ValueError: A part is missing or out of range; the message names it.
    """
    if not isinstance(document, dict):
        raise ValueError("must be an object")
    reference = {}
    for name in FEATURES:
        if name not in document:
            continue
        part = document[name]
        edges, counts = (part.get("edges"), part.get("counts")) if isinstance(part, dict) else (None, None)
        if not isinstance(edges, list) or not isinstance(counts, list):
            raise ValueError(f"{name} must be an object with the lists edges and counts")
        try:
            reference[name] = Histogram(tuple(edges), tuple(counts))
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{name} {error}") from None
    return reference
