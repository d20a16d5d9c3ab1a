"""How much work an image will be, before anything of it is decoded."""

from brain_tumor.image import formats, jpeg
from brain_tumor.image.errors import ImageError
from brain_tumor.image.formats import file_format

# What the start of a process costs, in pixels of a common JPEG (about 30 million a second).
_OWN_PROCESS = 6_000_000
_PIXELS_PER_BYTE = 4  # where the size stands deep in the file; a guess
_PNG_SIZE = slice(16, 24)  # width and height in the header, which comes first (PNG, third edition, 11.2.1)


def pixels_to_decode(data: bytes) -> int:
    """About how many pixels decoding a file will cost; 0 for what is no image.

    It reads headers only, so it costs some ten microseconds, and a hostile file can lie.
    """
    try:
        kind = file_format(data)
        match kind:
            case formats.JPEG:
                header = jpeg.read_header(data)
                return header.width * header.height + (0 if header.is_common else _OWN_PROCESS)
            case formats.PNG:
                size = data[_PNG_SIZE]
                return int.from_bytes(size[:4], "big") * int.from_bytes(size[4:], "big")
            case formats.TIFF | formats.GIF | formats.WEBP | formats.BMP:
                return _PIXELS_PER_BYTE * len(data)
    except ImageError:
        return 0
    return _PIXELS_PER_BYTE * len(data) + _OWN_PROCESS
