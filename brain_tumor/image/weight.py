"""Which images will take long to decode, before anything of them is decoded."""

from collections.abc import Sequence

from brain_tumor.image import formats, jpeg, tiff
from brain_tumor.image.dicom.start import few_pixels
from brain_tumor.image.errors import ImageError
from brain_tumor.image.formats import file_format

# Together: a usual scan has a quarter of a million, and a CPU decodes about 30 million pixels of a JPEG a second.
HEAVY_PIXELS = 8_000_000
_HEAVY = HEAVY_PIXELS + 1  # by itself
_DICOM_WORK = 4  # a pixel of a DICOM file, compressed in any way, costs as much as so many of a JPEG
_GIF_HEADER, _GIF_BLOCKS = 13, 5000  # bytes; blocks before the first frame, of which usual files have a dozen
_TIFF_PAGES = 1000  # of a stack that takes a while to count; to find a page takes as long
_GIF_EXTENSION, _GIF_FRAME = 0x21, 0x2C


def is_heavy(images: Sequence[bytes], page: int | None = None) -> bool:
    """Whether decoding files takes so long that other requests should not wait for it.

    They are heavy if they have more than ``HEAVY_PIXELS`` together, or if one is of a rare format, whose decoder is a
    process of its own; not for that alone a small DICOM file, of which people send thousands. So is a TIFF with very
    many pages. It takes some microseconds a file, of a hostile one up to a twentieth of a second. What is no image, or
    has no whole header, weighs nothing.

    Args:
        images: The files.
        page: Which image of a file with several; to decode a frame of an animation needs all frames before it.
    """
    return sum(_pixels(data, max(page or 1, 1)) for data in images) > HEAVY_PIXELS


def _pixels(data: bytes, page: int) -> int:
    try:
        match file_format(data):
            case formats.JPEG:
                frame = jpeg.read_frame(data)
                return frame.width * frame.height if frame and frame.is_common else _HEAVY
            case formats.PNG:  # third edition, 11.2.1
                return page * int.from_bytes(data[16:20], "big") * int.from_bytes(data[20:24], "big")
            case formats.WEBP:
                return page * _webp(data[:30])
            case formats.GIF:
                return page * _gif(data)
            case formats.BMP:
                return _bmp(data[:26])
            case formats.TIFF:
                if tiff.count_pages(data, _TIFF_PAGES) == _TIFF_PAGES:
                    return _HEAVY
                directory = tiff.read_directory(data, page)
                width, height = directory.number(tiff.WIDTH), directory.number(tiff.HEIGHT)
                return max(width * height, tiff.pixels_of_tiles(directory, width, height))
            case formats.DICOM:
                return _DICOM_WORK * (few_pixels(data) or _HEAVY)
    except ImageError:
        return 0
    return _HEAVY


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _webp(header: bytes) -> int:
    """The canvas (RFC 9649, 2.7; RFC 6386, 9.1; RFC 9649, 3.4)."""
    match header[12:16]:
        case b"VP8X":
            return (_number(header[24:27]) + 1) * (_number(header[27:30]) + 1)
        case b"VP8 ":
            return (_number(header[26:28]) & 0x3FFF) * (_number(header[28:30]) & 0x3FFF)
        case b"VP8L":
            sides = _number(header[21:25])
            return ((sides & 0x3FFF) + 1) * ((sides >> 14 & 0x3FFF) + 1)
    return 0


def _bmp(header: bytes) -> int:
    if header[14:18] == b"\x0c\0\0\0":  # OS/2
        return _number(header[18:20]) * _number(header[20:22])
    return _number(header[18:22]) * abs(int.from_bytes(header[22:26], "little", signed=True))


def _gif(data: bytes) -> int:
    """The screen, or what it grows to for its first frame (GIF89a, 18 and 20)."""
    width, height = _number(data[6:8]), _number(data[8:10])
    flags = _number(data[10:11])
    position = _GIF_HEADER + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    is_extension = False  # whose blocks each begin with their length; one without content ends it
    for _ in range(_GIF_BLOCKS):
        byte = _number(data[position : position + 1])
        if is_extension:
            position += 1 + byte
            is_extension = byte > 0
        elif byte == _GIF_EXTENSION:
            position += 2
            is_extension = True
        elif byte == _GIF_FRAME:
            left, top, *sides = (_number(data[start : start + 2]) for start in range(position + 1, position + 9, 2))
            return max(width, left + sides[0]) * max(height, top + sides[1])
        elif position < len(data):
            position += 1
        else:
            return width * height
    return _HEAVY
