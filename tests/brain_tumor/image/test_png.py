import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from brain_tumor.image import BrokenImage, decode
from tests.brain_tumor import images
from tests.brain_tumor.samples import COLOUR, GREY, X, difference, windowed

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def sixteen_bits(values: np.ndarray, *between: bytes) -> bytes:
    """A PNG of 16 bits whose rows are differences to the left (filter 1); with chunks before the pixels."""
    height, width, channels = (*values.shape, 1)[:3]
    raw = np.frombuffer(values.astype(">u2").tobytes(), np.uint8).reshape(height, width, -1)
    rows = np.diff(raw, axis=1, prepend=np.zeros_like(raw[:, :1])).reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    packed = zlib.compress(np.insert(rows, 0, 1, axis=1).tobytes())
    return SIGNATURE + chunk(b"IHDR", header) + b"".join(between) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_sixteen_bits_of_colour_are_windowed_like_grey():
    assert difference(sixteen_bits(GREY), windowed(GREY)) == 0
    assert difference(sixteen_bits(COLOUR), windowed(COLOUR)) == 0


@pytest.mark.parametrize("values", [GREY, COLOUR], ids=["grey", "colour"])
def test_opacity_is_no_part_of_the_window(values):
    opacity = np.where(X < 20, 65_535, 0).astype(np.uint16)
    expected = windowed(values) * (X < 20)[..., np.newaxis]
    assert difference(sixteen_bits(np.dstack([values, opacity])), expected) == 0
    half = np.full_like(GREY, 32_768)
    assert difference(sixteen_bits(np.dstack([values, half])), windowed(values) / 2) <= 1


def test_a_transparent_value_becomes_black():
    grey, colour = GREY[20, 30], COLOUR[20, 30]
    expected = windowed(GREY) * (grey != GREY)[..., np.newaxis]
    assert difference(sixteen_bits(GREY, chunk(b"tRNS", struct.pack(">H", grey))), expected) == 0
    expected = windowed(COLOUR) * (colour != COLOUR).any(axis=-1)[..., np.newaxis]
    assert difference(sixteen_bits(COLOUR, chunk(b"tRNS", struct.pack(">3H", *colour))), expected) == 0


def test_interlaced_colour():
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = b"".join(
        b"\0" + row.astype(">u2").tobytes()
        for top, left, down, across in passes
        for row in COLOUR[top::down, left::across]
    )
    header = struct.pack(">IIBBBBB", 40, 32, 16, 2, 0, 0, 1)
    data = SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert difference(data, windowed(COLOUR)) == 0


@pytest.mark.parametrize(
    "metadata",
    [
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(2 << 20))),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"<x:xmpmeta/>" * 200_000),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2 << 20))),
        chunk(b"prVt", bytes(100)),
    ],
    ids=["profile", "xmp", "text", "unknown"],
)
def test_metadata_of_any_size_are_no_damage(metadata):
    image = images.noise()
    data = images.encode(image)
    start = data.index(b"IDAT") - 4
    np.testing.assert_array_equal(np.asarray(decode(data[:start] + metadata + data[start:])), np.asarray(image))
    assert difference(sixteen_bits(COLOUR, metadata), windowed(COLOUR)) == 0


def test_many_tiny_chunks_are_not_walked_for_long():
    data = images.GLIOMA
    with pytest.raises(BrokenImage):
        decode(data[:33] + chunk(b"prVt", b"") * 300_000 + data[33:])


def test_orientation_of_sixteen_bits():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = sixteen_bits(COLOUR, chunk(b"eXIf", exif.tobytes()[6:]))
    assert difference(data, np.rot90(windowed(COLOUR), -1)) == 0
