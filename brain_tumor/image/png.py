"""PNG files: without the chunks that say nothing about pixels, and with all 16 bits.

The chunks stand in the PNG specification, third edition, chapter 11.
"""

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from brain_tumor.image.errors import broken
from brain_tumor.image.strips import array_of, strips

_SIGNATURE = 8  # bytes
_MAX_CHUNKS = 200_000
_PIXELS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf", b"acTL", b"fcTL", b"fdAT"))
# The orientation may stand in XMP or in text; Pillow refuses text of more than a megabyte.
_TEXT = {b"iTXt": b"XML:com.adobe.xmp\0\0\0", b"tEXt": b"", b"zTXt": b"Raw profile type exif\0"}
_MAX_TEXT = {b"iTXt": 1 << 16, b"tEXt": 1 << 16, b"zTXt": 1 << 10}  # bytes; zlib makes at most 1,032 of one

# The two bytes of each sample, as Pillow unpacks the first and the second of them.
_HALVES = {"RGB": ("RGB;16B", "RGB;16L"), "RGBA": ("RGBA;16B", "RGBA;16L")}
_GREY_ALPHA = 4  # a colour type of the header; its two samples have as many bytes as an 8-bit RGBA pixel


def without_metadata(data: bytes) -> bytes:
    """The file without colour profiles, long texts and unknown chunks, which a decoder could choke on.

    Raises:
        BrokenImage: There are very many chunks.
    """
    kept, start, position, chunks = [], 0, _SIGNATURE, 0
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        chunks += 1
        if chunks > _MAX_CHUNKS:
            raise broken()
        if name not in _PIXELS and not _is_short_text(data, position, length, name):
            kept.append(data[start:position])
            start = end
        position = end
        if name == b"IEND":
            break
    return b"".join((*kept, data[start:])) if kept else data


def _is_short_text(data: bytes, position: int, length: int, name: bytes) -> bool:
    return name in _TEXT and length <= _MAX_TEXT[name] and data.startswith(_TEXT[name], position + 8)


def scale_transparent_level(image: Image.Image, data: bytes) -> None:
    """Scale the transparent grey level of an opened PNG as Pillow scales the levels of 2 and 4 bits."""
    level, bits = image.info.get("transparency"), data[24]
    if image.mode == "L" and bits < 8 and isinstance(level, int):
        image.info["transparency"] = level * 255 // ((1 << bits) - 1)


def has_sixteen_bits(data: bytes) -> bool:
    """Whether the header says 16 bits a sample."""
    return data[24:25] == b"\x10"


def sixteen_bit_samples(data: bytes) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
    """Decode a PNG of 16 bits.

    Returns:
        The samples, uint16 (height, width) or (height, width, 3), and the opacity, uint8 (height, width) or None.
    """
    image = Image.open(io.BytesIO(data), formats=["PNG"])
    transparent = image.info.get("transparency")
    if image.mode not in _HALVES:  # grey
        samples: NDArray[Any] = array_of(image)
        if not isinstance(transparent, int):
            return samples, None
        return samples, _opaque_but(samples == transparent)
    if data[25] == _GREY_ALPHA:
        samples = array_of(_unpacked(image, "RGBA")).view(">u2")
        return samples[..., 0], _eight_bits(samples[..., 1])
    high, low = _HALVES[image.mode]
    mode, size = image.mode, image.size
    samples = np.empty((size[1], size[0], len(mode)), np.uint16)
    half = _unpacked(image, high)
    del image
    for box in strips(size):
        samples[box[1] : box[3]] = np.asarray(half.crop(box))
    del half
    samples <<= 8
    half = _unpacked(Image.open(io.BytesIO(data), formats=["PNG"]), low)
    for box in strips(size):
        samples[box[1] : box[3]] |= np.asarray(half.crop(box))
    if mode == "RGBA":
        return samples[..., :3], _eight_bits(samples[..., 3])
    if not isinstance(transparent, tuple):
        return samples, None
    return samples, _opaque_but((samples == transparent).all(axis=-1))


def _unpacked(image: Image.Image, raw_mode: str) -> Image.Image:
    """Decode an image whose pixels are unpacked in another way of as many bits."""
    image.tile = [tile._replace(args=raw_mode) for tile in image.tile]  # type: ignore[attr-defined]
    image.info.pop("transparency", None)
    image.load()
    return image


def _opaque_but(transparent: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(transparent, np.uint8(0), np.uint8(255))


def _eight_bits(samples: NDArray[Any]) -> NDArray[np.uint8]:
    return (samples >> 8).astype(np.uint8)
