"""Stored values of a grey DICOM image to 8 bits: modality LUT or rescale, VOI LUT or window, padding, inversion.

The steps and their order stand in PS3.3, C.7.6.3, C.11.1 and C.11.2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from brain_tumor.image.decoded import Window
from brain_tumor.image.dicom.contents import Contents, number, text, whole_number
from brain_tumor.image.dicom.tables import read_table
from brain_tumor.image.strips import rows_of
from brain_tumor.image.window import bounds, sampled

Floats: TypeAlias = NDArray[np.float64]
Step: TypeAlias = Callable[[Floats], Floats]
_LINEAR, _LINEAR_EXACT, _SIGMOID = "LINEAR", "LINEAR_EXACT", "SIGMOID"


@dataclass(frozen=True)
class Padding:
    """Stored values that fill what is outside of the image (PS3.3, C.7.5.1.1.2)."""

    low: float
    high: float

    def __call__(self, stored: Floats) -> NDArray[np.bool_]:
        """Which values are padding."""
        return (stored >= self.low) & (stored <= self.high)


def grey(contents: Contents, stored: NDArray[Any], *, white_is_zero: bool) -> tuple[NDArray[np.uint8], Window]:
    """Map stored values to 0..255.

    Args:
        contents: The file.
        stored: Shape (height, width), of any number type.
        white_is_zero: Whether the largest value is black (MONOCHROME1).

    Returns:
        uint8 (height, width), and how the values became that.

    Raises:
        UnusableImage: No value is finite, or all are padding.
    """
    modality, padding = _modality(contents, stored.dtype), _padding(contents, stored.dtype)
    shade, window = _shade(contents, modality, stored) or _by_percentiles(modality, padding, stored)

    def mapped(values: Floats) -> NDArray[np.uint8]:
        levels = np.clip(np.nan_to_num(shade(modality(values)), nan=0, posinf=255, neginf=0), 0, 255)
        result = np.rint(255 - levels if white_is_zero else levels)
        outside = ~np.isfinite(values)
        result[outside | padding(values) if padding else outside] = 0
        return result.astype(np.uint8)

    return _each(mapped, stored), window


def _each(mapped: Callable[[Floats], NDArray[np.uint8]], stored: NDArray[Any]) -> NDArray[np.uint8]:
    """Apply a function to all values: of few bits to each possible number once, otherwise to some rows at a time."""
    result = np.empty(stored.shape, np.uint8)
    is_narrow = stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2
    if is_narrow:
        kind = np.iinfo(stored.dtype)
        table = np.roll(mapped(np.arange(kind.min, kind.max + 1, dtype=np.float64)), kind.min)
        stored = stored.view(f"u{stored.dtype.itemsize}")
    for part in rows_of(stored):
        result[part] = table[stored[part]] if is_narrow else mapped(stored[part].astype(np.float64))
    return result


def _modality(contents: Contents, dtype: np.dtype[Any]) -> Step:
    """Stored values to those that the device means."""
    group = contents.group("PixelValueTransformationSequence")
    holder = contents.data_set if group is None else group
    table = read_table(contents, "ModalityLUTSequence", is_signed=dtype.kind == "i") if group is None else None
    if table is not None:
        return lambda values: table(values).astype(np.float64)
    slope = number(holder, "RescaleSlope") or 1  # zero would leave nothing of the image
    intercept = number(holder, "RescaleIntercept") or 0
    return lambda values: values * slope + intercept


def _padding(contents: Contents, dtype: np.dtype[Any]) -> Padding | None:
    data_set = contents.data_set
    if dtype.kind == "f":
        prefix = "Float" if dtype.itemsize == 4 else "DoubleFloat"
        values = [number(data_set, f"{prefix}PixelPadding{name}") for name in ("Value", "RangeLimit")]
    else:
        whole = [whole_number(data_set, f"PixelPadding{name}") for name in ("Value", "RangeLimit")]
        # In a file that says US where it means SS, or that does not say it, the value lacks its sign.
        values = [value - (1 << 16) if value and dtype.kind == "i" and value >= 1 << 15 else value for value in whole]
    first = values[0]
    if first is None:
        return None
    last = first if values[1] is None else values[1]
    return Padding(min(first, last), max(first, last))


def _shade(contents: Contents, modality: Step, stored: NDArray[Any]) -> tuple[Step, Window] | None:
    """Values to 0..255 as the file's VOI LUT or first window says; None without one that is valid."""
    is_signed = bool(stored.dtype.kind == "i" or modality(np.zeros(1))[0] < 0)
    table = read_table(contents, "VOILUTSequence", is_signed=is_signed)
    if table is not None:
        scale = 255 / ((1 << table.bits) - 1)
        return lambda values: table(values).astype(np.float64) * scale, Window("lut", None, None, None)
    for holder in contents.holders("FrameVOILUTSequence"):
        center, width = number(holder, "WindowCenter"), number(holder, "WindowWidth")
        function = text(holder, "VOILUTFunction") or _LINEAR
        if center is None or width is None or width <= 0 or (function == _LINEAR and width < 1):
            continue
        if function in (_LINEAR, _LINEAR_EXACT, _SIGMOID):
            return _function(function, center, width), Window("file", center, width, function)
    return None


def _function(name: str, center: float, width: float) -> Step:
    """A window's function (PS3.3, C.11.2.1.2 and C.11.2.1.3)."""
    if name == _SIGMOID:
        # exp overflows from 709 on, where black is black
        return lambda values: (255 / (1 + np.exp(np.minimum(-4 * (values - center) / width, 700)))).astype(np.float64)
    if name == _LINEAR:
        center, width = center - 0.5, width - 1
    if width == 0:
        return lambda values: np.where(values > center, 255.0, 0.0)
    return lambda values: ((values - center) / width + 0.5) * 255


def _by_percentiles(modality: Step, padding: Padding | None, stored: NDArray[Any]) -> tuple[Step, Window]:
    """The window of ``brain_tumor.image.window``, of what is no padding."""

    def usable(values: NDArray[Any]) -> Floats:
        floats = values.astype(np.float64)
        keep = np.isfinite(floats)
        return modality(floats[keep & ~padding(floats)] if padding else floats[keep])

    def extremes() -> tuple[float, float]:
        parts = [usable(stored[part]) for part in rows_of(stored)]
        return (
            min((part.min() for part in parts if part.size), default=0.0),
            max((part.max() for part in parts if part.size), default=0.0),
        )

    low, high = map(float, bounds(usable(sampled(stored)), extremes))
    window = Window("percentiles", low / 2 + high / 2, high - low, _LINEAR_EXACT)
    if high <= low:
        return np.zeros_like, window
    span = high / 2 - low / 2  # halves do not overflow
    return lambda values: (np.clip(values, low, high) / 2 - low / 2) / span * 255, window
