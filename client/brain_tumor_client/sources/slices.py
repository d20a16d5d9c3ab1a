"""From a volume to slices as people look at them: upright, with square pixels, in 8 bits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

Voxels = np.ndarray[Any, np.dtype[np.uint8]]
PLANES = ("axial", "coronal", "sagittal")
_NORMAL = {
    "axial": 2,
    "coronal": 1,
    "sagittal": 0,
}  # the axis that a plane leaves out, in right-anterior-superior order
_MAX_SIDE = 1024  # pixels of a slice with square pixels
_BINS = 256
_SAMPLE = 2**22  # voxels that the threshold is computed from


@dataclass(frozen=True)
class Slices:
    """Which slices of a volume are sent.

    Attributes:
        planes: Some of ``PLANES``.
        step: Every how many slices.
        min_head: The least area of head, as a share of that of the plane's slice with most; 0 sends every slice.
    """

    planes: tuple[str, ...] = ("axial",)
    step: int = 1
    min_head: float = 0.25


def chosen(voxels: Voxels, slices: Slices) -> list[tuple[str, int]]:
    """The slices to send: (plane, index along its normal), in order.

    Args:
        voxels: (right, anterior, superior).
        slices: Says which.
    """
    head = voxels > _threshold(voxels)
    indices = []
    for plane in slices.planes:
        normal = _NORMAL[plane]
        areas = head.sum(axis=tuple(axis for axis in range(3) if axis != normal))
        enough = areas >= slices.min_head * areas.max()
        indices += [(plane, index) for index in range(0, len(areas), slices.step) if enough[index]]
    return indices


def pixels_of(voxels: Voxels, spacing: tuple[float, float, float], plane: str, index: int) -> Voxels:
    """One slice, uint8 (height, width), with pixels that are square in millimetres.

    Axial and coronal slices are seen as radiologists do: the patient's right is on the left. Axial slices have the
    front above, coronal and sagittal ones the top of the head; sagittal ones look to the left.

    Args:
        voxels: (right, anterior, superior).
        spacing: Millimetres between voxels, in the same order.
        plane: One of ``PLANES``.
        index: Along the normal of the plane.
    """
    normal = _NORMAL[plane]
    across, up = (axis for axis in range(3) if axis != normal)
    pixels: Voxels = np.take(voxels, index, axis=normal)
    pixels = pixels[::-1, ::-1].T  # (up, across), both from their far end
    return _square(pixels, spacing[up], spacing[across])


def _square(pixels: Voxels, row: float, column: float) -> Voxels:
    finest = min(row, column)
    height, width = pixels.shape[0] * row / finest, pixels.shape[1] * column / finest
    shrink = min(1.0, _MAX_SIDE / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    if size == (pixels.shape[1], pixels.shape[0]):
        return pixels
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BILINEAR))


def _threshold(voxels: Voxels) -> int:
    """The grey level that separates air from head best: most variance between the two (Otsu 1979)."""
    flat = voxels.ravel(order="K")
    counts = np.bincount(flat[:: max(1, len(flat) // _SAMPLE)], minlength=_BINS).astype(np.float64)
    levels = np.arange(_BINS)
    below = counts.cumsum()
    above = below[-1] - below
    sum_below = (counts * levels).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = sum_below / below - (sum_below[-1] - sum_below) / above
        variance = np.nan_to_num(below * above * difference**2)
    return int(variance.argmax())
