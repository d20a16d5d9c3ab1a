"""One frame of a DICOM file, from bytes to 8-bit pixels; the other modules are its steps."""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_color_lut

from brain_tumor.image.decoded import Dicom
from brain_tumor.image.dicom.contents import Contents, read_contents
from brain_tumor.image.dicom.grey import grey
from brain_tumor.image.dicom.meaning import modality, no_pixels, warnings
from brain_tumor.image.dicom.stored import stored_values
from brain_tumor.image.dicom.structure import read_structure
from brain_tumor.image.errors import broken
from brain_tumor.image.window import looked_up, window

_GREY = {"MONOCHROME1": True, "MONOCHROME2": False}  # whether zero is white
_PALETTE = "PALETTE COLOR"


def read_frame(data: bytes, max_pixels: int, frame: int | None) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Decode one frame.

    Args:
        data: The file.
        max_pixels: Largest count of pixels.
        frame: Which frame, from 1; None for the middle one.

    Returns:
        uint8 (height, width) or (height, width, 3); and for JSON, ``dicom``: the attributes of
        ``brain_tumor.image.decoded.Dicom``, and ``warnings``: sentences.

    Raises:
        ImageError: The frame cannot be used; the subclass says why.
    """
    contents = read_contents(read_structure(data), frame)
    error = no_pixels(contents)
    if error:
        raise error
    told = list(warnings(contents))
    stored, meaning = stored_values(contents, max_pixels)
    if meaning in _GREY:
        pixels, levels = grey(contents, stored, white_is_zero=_GREY[meaning])
    else:
        pixels, levels = _palette(contents, stored) if meaning == _PALETTE else _colour(stored), None
    dicom = Dicom(modality(contents), contents.frame, contents.frames, levels)
    return np.ascontiguousarray(pixels), {"dicom": asdict(dicom), "warnings": told}


def _colour(stored: NDArray[Any]) -> NDArray[np.uint8]:
    if stored.ndim != 3:
        raise broken()
    if stored.dtype == np.uint8:
        return stored
    return stored.astype(np.uint8) if stored.max() < 256 and stored.min() >= 0 else window(stored)


def _palette(contents: Contents, stored: NDArray[Any]) -> NDArray[np.uint8]:
    """Look up colours: 16-bit entries keep their upper 8 (PS3.3, C.7.6.3.1.5)."""
    if stored.dtype.itemsize > 2 or stored.ndim != 2:
        raise broken()
    kind = np.iinfo(stored.dtype)
    colours = apply_color_lut(np.arange(kind.min, kind.max + 1, dtype=stored.dtype), contents.data_set)[..., :3]
    if colours.dtype.itemsize > 1:
        colours = colours >> 8 if colours.max() > 255 else colours
    table = np.roll(colours.astype(np.uint8), kind.min, axis=0)
    return looked_up(table, stored.view(f"u{stored.dtype.itemsize}"))
