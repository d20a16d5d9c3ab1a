"""Grey or colour of more than 8 bits to 8 bits: linearly, between two percentiles of the image.

All colour channels have one window, so that colours keep their hue. What is not finite becomes black.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain_tumor.image.errors import UnusableImage
from brain_tumor.image.strips import rows_of

# A few very bright pixels shall not darken the whole scan.
_PERCENTILES = (0.5, 99.5)
_PIXELS = 1 << 20  # of a larger image only every second, third, ... row and column counts


def window(values: NDArray[Any], *, white_is_zero: bool = False) -> NDArray[np.uint8]:
    """Map an image's values to 0..255.

    Args:
        values: Shape (height, width) or (height, width, channel), of any number type.
        white_is_zero: Whether the largest value is black.

    Returns:
        The same shape, uint8.

    Raises:
        UnusableImage: No value is finite.
    """
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        # Few numbers are possible: each is mapped once.
        smallest = np.iinfo(values.dtype).min
        numbers = np.arange(smallest, np.iinfo(values.dtype).max + 1, dtype=np.float32)
        low, high = bounds(sampled(values).astype(np.float32), lambda: (values.min(), values.max()))
        table = _mapped(-numbers, -high, -low) if white_is_zero else _mapped(numbers, low, high)
        return looked_up(np.roll(table, smallest), values.view(values.dtype.str.replace("i", "u")))
    # float32 holds whole numbers up to 2**24 only.
    dtype = np.float64 if values.dtype.itemsize > 4 or values.dtype.kind in "iu" else np.float32
    sign = -1 if white_is_zero else 1

    def extremes() -> tuple[Any, Any]:
        if values.dtype.kind in "iu":
            return dtype(values.min()), dtype(values.max())
        finite = np.isfinite(values)
        return np.min(values, where=finite, initial=np.inf), np.max(values, where=finite, initial=-np.inf)

    sample = sampled(values).astype(dtype)
    low, high = bounds(sample[np.isfinite(sample)], extremes)
    if white_is_zero:
        low, high = -high, -low
    result = np.empty(values.shape, np.uint8)
    for part in rows_of(values):
        result[part] = _mapped(sign * values[part].astype(dtype), low, high)
    return result


def sampled(values: NDArray[Any]) -> NDArray[Any]:
    """Of a large image every second, third, ... row and column: (height, width, ...)."""
    step = math.isqrt(values.shape[0] * values.shape[1] // _PIXELS) or 1
    return values[::step, ::step]


def bounds(sample: NDArray[Any], extremes: Callable[[], tuple[Any, Any]]) -> tuple[Any, Any]:
    """The values that become black and white.

    Args:
        sample: Finite values, of any shape.
        extremes: Gives the smallest and the largest value of all pixels, which count if the sample is flat.

    Raises:
        UnusableImage: The sample is empty.
    """
    if not sample.size:
        raise UnusableImage("The image has no finite pixel value.")
    # The nearest value, not an interpolated one: the difference of two extreme values overflows. Halves do not.
    low, high = np.percentile(sample, _PERCENTILES, method="nearest")
    if high <= low:  # a few bright pixels on a flat ground
        low, high = (sample.dtype.type(value) for value in extremes())
    return low, high


def looked_up(table: NDArray[np.uint8], indices: NDArray[Any]) -> NDArray[np.uint8]:
    """The table's entries, some rows at a time: NumPy makes every index a number of 8 bytes.

    Args:
        table: Shape (entry,), or (entry, channel) for colours.
        indices: Shape (height, width) or (height, width, channel), of an unsigned type.

    Returns:
        The indices' shape, and behind it the table's channels.
    """
    result = np.empty((*indices.shape, *table.shape[1:]), np.uint8)
    for part in rows_of(indices):
        result[part] = table[indices[part]]
    return result


def _mapped(values: NDArray[Any], low: Any, high: Any) -> NDArray[np.uint8]:
    """Floats, which are changed in place, to 0..255."""
    span = high / 2 - low / 2
    if span == 0:
        return np.zeros(values.shape, np.uint8)
    np.nan_to_num(values, copy=False, nan=low, posinf=low, neginf=low)
    np.clip(values, low, high, out=values)
    values /= 2
    values -= low / 2
    values /= span
    values *= 255
    return np.rint(values, out=values).astype(np.uint8)
