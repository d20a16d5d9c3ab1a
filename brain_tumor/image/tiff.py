"""TIFF files: their directories, one for each page, read before a decoder sees them.

TIFF 6.0; the larger BigTIFF has the same structure with longer numbers.
"""

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from brain_tumor.image.errors import ImageError, broken, no_such_page, too_large, unsupported

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIPS, ORIENTATION, SAMPLES, STRIP_ROWS, STRIP_BYTES, PLANAR = 273, 274, 277, 278, 279, 284
PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES, EXTRA, FORMAT = 317, 322, 323, 324, 325, 338, 339
_SUBFILE, _SUB_DIRECTORIES, _DNG = 254, 330, 50706
_RAW_PHOTOMETRIC = (32803, 34892)  # a colour filter array, linear raw
_BYTES_OF_TYPE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_MAX_ENTRIES = 4096  # of a directory
_MAX_CHUNKS = 1 << 16  # strips or tiles; more than the rows of any real image
_MAX_PAGES = 1 << 16


@dataclass(frozen=True)
class Directory:
    """One page's directory.

    Attributes:
        data: The whole file.
        order: ``<`` or ``>``, the byte order of numbers.
        big: Whether the file is a BigTIFF.
        offset: Where the directory stands.
        entries: By tag: the type of the values, their number, and where they stand.
    """

    data: bytes
    order: str
    big: bool
    offset: int
    entries: dict[int, tuple[int, int, int]]

    def numbers(self, tag: int, limit: int = _MAX_CHUNKS) -> tuple[int, ...]:
        """A tag's whole numbers, at most ``limit``; empty if there is no such tag, or its values are others."""
        kind, count, start = self.entries.get(tag, (0, 0, 0))
        if kind not in _NUMBERS:
            return ()
        return struct.unpack_from(f"{self.order}{min(count, limit)}{_NUMBERS[kind]}", self.data, start)

    def number(self, tag: int, default: int = 0) -> int:
        """A tag's first whole number, or the default."""
        return next(iter(self.numbers(tag, 1)), default)

    def standing_first(self) -> bytes:
        """The file with this page as its first."""
        if self.big:
            return self.data[:8] + struct.pack(f"{self.order}Q", self.offset) + self.data[16:]
        return self.data[:4] + struct.pack(f"{self.order}I", self.offset) + self.data[8:]


def read_directory(data: bytes, page: int) -> Directory:
    """Find a page's directory; pages count from 1.

    Raises:
        NoSuchPage: There are fewer pages.
        BrokenImage: The directories are damaged, or refer to far more bytes than the file has.
    """
    try:
        order, big = _kind(data)
        for number, (offset, count) in enumerate(_chain(data), 1):
            if number == page:
                return Directory(data, order, big, offset, _entries(data, order, big, offset, count))
    except struct.error:
        raise broken() from None
    raise no_such_page(page, number)


def count_pages(data: bytes, most: int = _MAX_PAGES) -> int:
    """How many directories a file has, counted up to ``most``; of a damaged one, as many as can be found."""
    count = 0
    with contextlib.suppress(struct.error, ImageError):
        for _ in islice(_chain(data), most):
            count += 1
    return count


def _kind(data: bytes) -> tuple[str, bool]:
    """The byte order of numbers, and whether the file is a BigTIFF."""
    return "<" if data.startswith(b"II") else ">", data[2:4] in (b"+\0", b"\0+")


def _chain(data: bytes) -> Iterator[tuple[int, int]]:
    """Each directory's offset and number of entries."""
    order, big = _kind(data)
    (offset,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, 8 if big else 4)
    seen: set[int] = set()
    count_form, entry_bytes, next_form = ("Q", 20, "Q") if big else ("H", 12, "I")
    while offset and offset not in seen and len(seen) < _MAX_PAGES:
        seen.add(offset)
        if offset > len(data):  # which may be more than unpack_from takes
            raise broken()
        (count,) = struct.unpack_from(order + count_form, data, offset)
        if count > _MAX_ENTRIES:
            raise broken()
        yield offset, count
        end = offset + struct.calcsize(order + count_form) + count * entry_bytes
        try:
            (offset,) = struct.unpack_from(order + next_form, data, end)
        except struct.error:  # the file ends with a directory's last entry
            offset = 0
    if not seen:
        raise broken()


def _entries(data: bytes, order: str, big: bool, offset: int, count: int) -> dict[int, tuple[int, int, int]]:
    entries: dict[int, tuple[int, int, int]] = {}
    total = 0
    form, inline = (order + "HHQ", 8) if big else (order + "HHI", 4)
    start = offset + (8 if big else 2)
    for position in range(start, start + count * (inline + struct.calcsize(form)), inline + struct.calcsize(form)):
        tag, kind, number = struct.unpack_from(form, data, position)
        place = position + struct.calcsize(form)
        size = _BYTES_OF_TYPE.get(kind, 1) * number
        if size > inline:
            (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, place)
            total += size
        if place + size <= len(data):
            entries[tag] = kind, number, place
    if total > 2 * len(data):  # a decoder would copy the same bytes for each entry
        raise broken()
    return entries


def require_cheap(directory: Directory, max_pixels: int) -> tuple[int, int]:
    """Refuse a page that costs far more to decode than its size suggests.

    Returns:
        Width and height in pixels, as they are stored.

    Raises:
        BrokenImage: There are no sides, or very many strips or tiles.
        ImageTooLarge: The image has more than ``max_pixels`` pixels, or its tiles have more than twice as many.
        UnknownImageType: The page is the preview of a raw photo.
    """
    width, height = directory.number(WIDTH), directory.number(HEIGHT)
    preview = directory.number(_SUBFILE) & 1 and _SUB_DIRECTORIES in directory.entries
    if _DNG in directory.entries or preview or directory.number(PHOTOMETRIC) in _RAW_PHOTOMETRIC:
        raise unsupported("a raw photo (DNG, NEF, ARW, ...)", "Develop it with the camera's program, and send a JPEG.")
    if not width or not height:
        raise broken()
    if width * height > max_pixels:
        raise too_large(max_pixels)
    if max(directory.entries.get(tag, (0, 0, 0))[1] for tag in (STRIPS, TILES)) > _MAX_CHUNKS:
        raise broken()
    if pixels_of_tiles(directory, width, height) > 2 * max_pixels:
        raise too_large(max_pixels)
    return width, height


def pixels_of_tiles(directory: Directory, width: int, height: int) -> int:
    """How many pixels the tiles of a page have: all of a tile is decoded, and it can be far larger than what is seen.

    Returns:
        0 for a page without tiles.
    """
    tile_width, tile_height = directory.number(TILE_WIDTH), directory.number(TILE_HEIGHT)
    if not tile_width or not tile_height:
        return 0
    return -(-width // tile_width) * tile_width * -(-height // tile_height) * tile_height
