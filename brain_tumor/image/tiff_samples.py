"""The samples of a TIFF that Pillow reduces, misreads or refuses: more than 8 bits, signed, floating point.

Pillow's libtiff only unpacks: it is given the same strips or tiles as an 8-bit grey image, as wide as a row has bytes.
The predictors (TIFF 6.0, section 14; Adobe's TIFF technical note 3) and the samples' types are NumPy's part.
"""

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from brain_tumor.image import tiff
from brain_tumor.image.errors import ImageTooLarge, broken, unsupported
from brain_tumor.image.strips import array_of, rows_of
from brain_tumor.image.tiff import Directory

_LOSSLESS = {1: 1, 5: 5, 8: 8, 32946: 8, 32773: 32773, 34925: 34925, 50000: 50000}  # none, LZW, deflate, PackBits, ...
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}  # sample formats; the fourth is "undefined"
_SIGNED = 2
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_ASSOCIATED, _UNASSOCIATED = 1, 2  # opacity that the colours are multiplied by already; that they are not
_DIFFERENCES, _FLOAT_DIFFERENCES = 2, 3  # predictors
_SEPARATE = 2  # a plane for each channel
_BYTES_PER_PIXEL = 8  # of the largest image; Pillow's copy, NumPy's and the result must fit into memory


def can_read(directory: Directory) -> bool:
    """Whether this module decodes such a page."""
    bits = directory.number(tiff.BITS, 1)
    return (
        bits in (8, 16, 32, 64)
        and set(directory.numbers(tiff.BITS)) == {bits}
        and directory.number(tiff.FORMAT, 1) in _KINDS
        and len(set(directory.numbers(tiff.FORMAT))) <= 1
        and directory.number(tiff.PHOTOMETRIC, _BLACK_IS_ZERO) in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB)
        and directory.number(tiff.COMPRESSION, 1) in _LOSSLESS
        and directory.number(tiff.FILL_ORDER, 1) == 1
    )


def is_misread(directory: Directory) -> bool:
    """Whether Pillow may give other pixels than this module."""
    return directory.number(tiff.BITS, 1) > 8 or directory.number(tiff.FORMAT, 1) == _SIGNED


def samples(
    directory: Directory, width: int, height: int, max_pixels: int
) -> tuple[NDArray[Any], NDArray[np.uint8] | None, bool]:
    """Decode a page for which ``can_read`` is true.

    Returns:
        The grey or colour samples, (height, width) or (height, width, 3) of any number type; the opacity, uint8
        (height, width) or None; and whether the largest value is black.

    Raises:
        ImageTooLarge: The samples take more than 8 bytes for each of ``max_pixels``.
        UnknownImageType: The number of channels or the predictor is one that nothing decodes.
        BrokenImage: The file is damaged.
    """
    bits, kind = directory.number(tiff.BITS), _KINDS[directory.number(tiff.FORMAT, 1)]
    channels = directory.number(tiff.SAMPLES, 1)
    photometric = directory.number(tiff.PHOTOMETRIC, _BLACK_IS_ZERO)
    colours = 3 if photometric == _RGB else 1
    if channels < colours or (kind == "f" and bits == 8):
        raise unsupported(f"a TIFF of {channels} channels with {bits} bits")
    tile_width, tile_height = directory.number(tiff.TILE_WIDTH, 1) or 1, directory.number(tiff.TILE_HEIGHT, 1) or 1
    decoded = -(-width // tile_width) * tile_width * -(-height // tile_height) * tile_height  # whole tiles
    if decoded * channels * bits // 8 > _BYTES_PER_PIXEL * max_pixels:
        raise ImageTooLarge(
            f"The image has more than {_BYTES_PER_PIXEL * max_pixels:,} bytes of samples. "
            "Send a smaller one, or one of 8 or 16 bits."
        )
    dtype = np.dtype(f"{directory.order}{kind}{bits // 8}")
    if directory.number(tiff.PLANAR, 1) == _SEPARATE and channels > 1:
        values: NDArray[Any] = np.empty((height, width, channels), dtype)
        for plane in range(channels):
            values[..., plane] = _plane(directory, width, height, 1, dtype, plane, channels)[..., 0]
    else:
        values = _plane(directory, width, height, channels, dtype, 0, 1)
    opacity = None
    extra = directory.numbers(tiff.EXTRA) or ((_UNASSOCIATED,) if channels == colours + 1 else ())
    for number, meaning in enumerate(extra[: channels - colours]):
        if meaning == _UNASSOCIATED:
            opacity = _eight_bits(values[..., colours + number])
    colour = values[..., :colours] if colours == 3 else values[..., 0]
    return colour, opacity, photometric == _WHITE_IS_ZERO


def _plane(
    directory: Directory, width: int, height: int, channels: int, dtype: np.dtype[Any], plane: int, planes: int
) -> NDArray[Any]:
    """One plane of the file: (height, width, channels)."""
    tile_width, tile_height = directory.number(tiff.TILE_WIDTH), directory.number(tiff.TILE_HEIGHT)
    tiled = tiff.TILES in directory.entries
    if tiled and not (tile_width and tile_height):
        raise broken()
    offsets, lengths = (
        directory.numbers(tag) for tag in ((tiff.TILES, tiff.TILE_BYTES) if tiled else (tiff.STRIPS, tiff.STRIP_BYTES))
    )
    count = len(offsets) // planes
    across = -(-width // tile_width) if tiled else 1
    columns = tile_width if tiled else width  # that a predictor runs over
    rows = tile_height if tiled else min(directory.number(tiff.STRIP_ROWS, height) or height, height)
    if not count or (not lengths and count == 1):
        lengths = (len(directory.data) - offsets[0],) if offsets else ()
    if len(lengths) != len(offsets) or count < across * -(-height // rows):
        raise broken()
    part = slice(plane * count, plane * count + across * -(-height // rows))
    row_bytes = across * columns * channels * dtype.itemsize
    grey = _as_grey(directory, offsets[part], lengths[part], (row_bytes, height), (row_bytes // across, rows), tiled)
    raw: NDArray[Any] = array_of(grey).reshape(height, across, -1)  # (row, tile, byte)
    del grey
    predictor = directory.number(tiff.PREDICTOR, 1)
    if predictor == _FLOAT_DIFFERENCES and dtype.kind == "f":
        raw = np.cumsum(raw.reshape(height, across, -1, channels), axis=2, dtype=np.uint8)
        # The most significant byte of each sample of a row, then the next one of each, ...
        raw = raw.reshape(height, across, dtype.itemsize, -1).swapaxes(2, 3)
        values: NDArray[Any] = np.ascontiguousarray(raw).view(dtype.newbyteorder(">"))
    elif predictor in (1, _DIFFERENCES):
        values = raw.view(dtype)
    else:
        raise unsupported(f"a TIFF with the predictor {predictor}", "Save it without a predictor.")
    values = np.reshape(values, (height, across, columns, channels))
    if predictor == _DIFFERENCES:
        whole = values.view(values.dtype.str.replace("f", "u"))
        native = whole.dtype.newbyteorder("=")
        values = np.cumsum(whole, axis=2, dtype=native).view(values.dtype.newbyteorder("="))
    return values.reshape(height, across * columns, channels)[:, :width]


def _as_grey(
    directory: Directory,
    offsets: tuple[int, ...],
    lengths: tuple[int, ...],
    size: tuple[int, int],
    chunk: tuple[int, int],
    tiled: bool,
) -> Image.Image:
    """The same strips or tiles, of the size ``chunk``, as an 8-bit grey image: both (bytes of a row, rows)."""
    data = directory.data
    if max(start + length for start, length in zip(offsets, lengths, strict=True)) > len(data):
        raise broken()
    short, long = 3, 4
    numbers: dict[int, tuple[int, tuple[int, ...]]] = {
        tiff.WIDTH: (long, (size[0],)),
        tiff.HEIGHT: (long, (size[1],)),
        tiff.BITS: (short, (8,)),
        tiff.COMPRESSION: (short, (_LOSSLESS[directory.number(tiff.COMPRESSION, 1)],)),
        tiff.PHOTOMETRIC: (short, (_BLACK_IS_ZERO,)),
        tiff.SAMPLES: (short, (1,)),
    }
    if tiled:
        numbers[tiff.TILE_WIDTH], numbers[tiff.TILE_HEIGHT] = (long, chunk[:1]), (long, chunk[1:])
        numbers[tiff.TILES], numbers[tiff.TILE_BYTES] = (long, offsets), (long, lengths)
    else:
        numbers[tiff.STRIPS], numbers[tiff.STRIP_BYTES] = (long, offsets), (long, lengths)
        numbers[tiff.STRIP_ROWS] = (long, chunk[1:])
    start = len(data) + len(data) % 2
    place = start + 2 + 12 * len(numbers) + 4
    entries, arrays = b"", b""
    for tag in sorted(numbers):
        kind, values = numbers[tag]
        packed = struct.pack(f"<{len(values)}{'H' if kind == short else 'I'}", *values)
        if len(packed) > 4:
            packed, arrays = struct.pack("<I", place + len(arrays)), arrays + packed
        entries += struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    file = io.BytesIO()
    file.write(struct.pack("<2sHI", b"II", 42, start))
    file.write(memoryview(data)[8:])
    file.write(bytes(len(data) % 2) + struct.pack("<H", len(numbers)) + entries + bytes(4) + arrays)
    file.seek(0)
    image = TiffImageFile(file)
    image.load()
    return image


def _eight_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Opacity of any number type as 0..255."""
    full = 1 if values.dtype.kind == "f" else np.iinfo(values.dtype).max
    opacity = np.empty(values.shape, np.uint8)
    for rows in rows_of(values):
        part = np.clip(np.nan_to_num(values[rows].astype(np.float32)) / np.float32(full), 0, 1)
        opacity[rows] = np.rint(part * 255)
    return opacity
