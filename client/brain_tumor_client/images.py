"""From what a caller has to the bytes that are sent."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from brain_tumor_client.errors import ImageUnusable

type_of_arrays = np.ndarray[Any, np.dtype[Any]]
ImageLike = bytes | str | os.PathLike[str] | type_of_arrays
MAX_BYTES = 64 * 1024 * 1024  # of a file; the service takes 20 MiB unless its operator allows more
DICOM_MAGIC = (128, b"DICM")  # offset, bytes


def image_bytes(image: ImageLike, max_bytes: int = MAX_BYTES) -> bytes:
    """The content of an image file.

    Args:
        image: The content itself, a path, or pixels: uint8 (height, width) or (height, width, 3), or uint16
            (height, width), which become a PNG file.
        max_bytes: More are not read.

    Raises:
        ImageUnusable: The file cannot be read or is too large, or the array has another shape or dtype.
    """
    if isinstance(image, bytes):
        content = image
    elif isinstance(image, np.ndarray):
        content = png(image)
    else:
        content = _read(Path(image), max_bytes)
    if not content:
        raise ImageUnusable("The file is empty.")
    if len(content) > max_bytes:
        raise ImageUnusable(f"The image has more than {max_bytes:,} bytes. Send a smaller one.")
    return content


def media_type_of(content: bytes) -> str:
    """The media type to send; the service finds the kinds of images by their bytes."""
    offset, magic = DICOM_MAGIC
    return "application/dicom" if content[offset : offset + len(magic)] == magic else "application/octet-stream"


def png(pixels: type_of_arrays) -> bytes:
    """Write pixels as a PNG file.

    Raises:
        ImageUnusable: Neither uint8 (height, width) or (height, width, 3), nor uint16 (height, width).
    """
    grey, colour = pixels.ndim == 2, pixels.ndim == 3 and pixels.shape[-1] == 3
    of_8_bits, of_16_bits = pixels.dtype == np.uint8, pixels.dtype == np.uint16
    if 0 in pixels.shape or not ((of_8_bits and (grey or colour)) or (of_16_bits and grey)):
        raise ImageUnusable(
            "An array must be uint8 of shape (height, width) or (height, width, 3), or uint16 of shape (height, width)."
        )
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        if not path.is_file():  # a pipe or a device might never end
            raise ImageUnusable("There is no such file.")
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except OSError as error:
        raise ImageUnusable(f"The file cannot be read: {error.strerror}.") from None
