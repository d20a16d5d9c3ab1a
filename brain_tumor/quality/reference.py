"""Measures the reference histograms of a model on its validation images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from brain_tumor import reference
from brain_tumor.reference import Histogram

_LEAST_IMAGES = 200  # with fewer the histograms' own errors pass for drift
_BINS = 10  # as is usual for the population stability index
_LEAST_IN_A_BIN = 100  # images
_DIGITS = 4  # decimals of an edge: a confidence of 0.99999 on one machine is 0.99998 on another
# Pixels. Most data sets have few sizes, so that no tenths of them can be made: half an octave a bin instead.
_SIZES = (90, 128, 181, 256, 362, 512, 724, 1024, 1448, 2048, 2896, 4096)


def measure(
    probabilities: NDArray[np.floating],
    ood_scores: NDArray[np.floating],
    brightness: Sequence[float],
    sizes: Sequence[int],
) -> dict[str, Histogram]:
    """The reference histograms; none of fewer than 200 images.

    Args:
        probabilities: The calibrated class probabilities, (n, class).
        ood_scores: The OOD scores, (n,).
        brightness: What ``brain_tumor.reference.brightness`` gives for each image.
        sizes: Pixels of each image's longer side, before it was prepared.
    """
    if len(probabilities) < _LEAST_IMAGES:
        return {}
    classes = probabilities.shape[1]
    values = {
        reference.CLASSES: (range(classes - 1), probabilities.argmax(1)),
        reference.CONFIDENCE: (_parts(confidence := probabilities.max(1)), confidence),
        reference.OOD_SCORE: (_parts(ood_scores), ood_scores),
        reference.BRIGHTNESS: (_parts(np.asarray(brightness)), brightness),
        reference.SIZE: (_SIZES, sizes),
    }
    return {
        name: _histogram(tuple(edges), np.asarray(of_images))
        for name, (edges, of_images) in values.items()
        if 1 <= len(edges) < reference.MAX_BINS
    }


def _parts(values: NDArray[np.floating]) -> list[float]:
    """Edges that part values into tenths, or into fewer parts of at least 100 values."""
    count = min(_BINS, len(values) // _LEAST_IN_A_BIN)
    edges = {round(float(edge), _DIGITS) for edge in np.quantile(values, np.arange(1, count) / count)}
    return sorted(edge for edge in edges if edge < values.max())


def _histogram(edges: tuple[float, ...], values: NDArray[np.number]) -> Histogram:
    bins = np.searchsorted(edges, values, side="left")
    return Histogram(edges, tuple(np.bincount(bins, minlength=len(edges) + 1).tolist()))
