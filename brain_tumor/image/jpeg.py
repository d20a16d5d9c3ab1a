"""JPEG files: what their markers say, before a decoder sees them.

The markers stand in ITU-T T.81 (JPEG), table B.1, and T.87 (JPEG-LS), annex C.
"""

import io
import re
import struct
from dataclasses import dataclass, replace

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from brain_tumor.image.errors import broken, unsupported

_START_OF_SCAN, _END_OF_IMAGE, _APP1 = 0xDA, 0xD9, 0xE1
_BASELINE, _LOSSLESS, _JPEG_LS = 0xC0, 0xC3, 0xF7
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {_JPEG_LS}
_SEQUENTIAL = (_BASELINE, 0xC1, 0xC9)  # also extended and arithmetic-coded
_HIERARCHICAL = frozenset((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF))
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length: TEM, the restart markers, start of image
# In compressed data a zero follows a byte of ones, in JPEG-LS a byte below 0x80; restart markers belong to the data.
_NEXT_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
# A progressive JPEG is decoded once per scan, and Pillow joins the EXIF segments one by one. Cameras and encoders write
# about ten; a hostile file has thousands.
_MAX_SCANS = _MAX_EXIF_SEGMENTS = 100
_MAX_SEGMENTS = 5000
_MAX_FILL = 64  # bytes between two segments before the frame, where only the frame is wanted


@dataclass(frozen=True)
class JpegHeader:
    """What the markers of a JPEG say.

    Attributes:
        frame: The second byte of the frame's marker, which names the kind of compression.
        precision: Bits of a sample.
        width: In pixels.
        height: In pixels.
        components: The identifiers of the colour components.
        adobe_transform: What the Adobe segment says of the colours; None without such a segment.
        is_complete: Whether there is an end marker.
    """

    frame: int
    precision: int
    width: int
    height: int
    components: bytes
    adobe_transform: int | None
    is_complete: bool

    @property
    def is_jpeg_ls(self) -> bool:
        """Whether the compression is that of JPEG-LS."""
        return self.frame == _JPEG_LS

    @property
    def is_sequential(self) -> bool:
        """Whether a decoder needs only some rows at a time."""
        return self.frame in _SEQUENTIAL

    @property
    def is_common(self) -> bool:
        """Whether Pillow decodes it: 8 bits, and not JPEG-LS."""
        return self.precision == 8 and not self.is_jpeg_ls

    @property
    def is_luma_and_chroma(self) -> bool:
        """Whether three components are YCbCr and not RGB, by the rules of libjpeg."""
        if len(self.components) != 3 or self.frame in (_LOSSLESS, _JPEG_LS):
            return False
        return self.adobe_transform != 0 if self.adobe_transform is not None else self.components != b"RGB"


def read_header(data: bytes) -> JpegHeader:
    """Read a JPEG's markers up to its end marker; what follows is no part of the image.

    Raises:
        BrokenImage: The markers end before there is a frame and a scan, or there are so many scans or segments that
            decoding would take long.
        UnknownImageType: The compression is one that nothing decodes.
    """
    header, adobe, complete = None, None, False
    scans = exif_segments = segments = 0
    position = 2
    while (found := _NEXT_MARKER.search(data, position)) is not None:
        marker, position = data[found.start() + 1], found.end()
        if marker == _END_OF_IMAGE:
            complete = True
            break
        segments += 1
        if segments > _MAX_SEGMENTS:
            raise broken()
        if marker in _ALONE:
            continue
        length = _number(data[position : position + 2])
        content = data[position + 2 : position + 18]
        position += length
        if marker in _FRAMES and header is None and len(content) >= 6:
            header = _frame(data, marker, position - length)
        scans += marker == _START_OF_SCAN
        exif_segments += marker == _APP1 and content.startswith(b"Exif\0\0")
        if marker == 0xEE and content.startswith(b"Adobe") and len(content) >= 12:
            adobe = content[11]
        if scans > _MAX_SCANS or exif_segments > _MAX_EXIF_SEGMENTS:
            raise broken()
    if header is None or not scans or not header.width or not header.height:
        raise broken()
    if header.frame in _HIERARCHICAL:
        raise unsupported("a hierarchical JPEG")
    if len(header.components) not in (1, 3, 4) or (len(header.components) == 4 and not header.is_common):
        raise unsupported(f"a JPEG of {len(header.components)} colour components with {header.precision} bits")
    return replace(header, adobe_transform=adobe, is_complete=complete)


def read_frame(data: bytes) -> JpegHeader | None:
    """Read a JPEG's markers up to its frame, and nothing behind that: not whether the file is complete.

    Returns:
        The frame, without what other segments say of it; None where there is none soon, which no encoder writes.
    """
    position = 2
    for _ in range(_MAX_SEGMENTS):
        found = _NEXT_MARKER.search(data, position, position + _MAX_FILL)
        if found is None:
            return None
        marker, position = data[found.start() + 1], found.end()
        if marker in _ALONE:
            continue
        if marker in _FRAMES and position + 8 <= len(data):
            return _frame(data, marker, position)
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return None
        position += _number(data[position : position + 2])
    return None


def _frame(data: bytes, marker: int, position: int) -> JpegHeader:
    """The frame whose length stands at a position."""
    length, precision, height, width, count = struct.unpack_from(">HBHHB", data, position)
    components = data[position + 8 : position + length : 3][:count]
    return JpegHeader(marker, precision, width, height, components, None, False)


def _number(two_bytes: bytes) -> int:
    return int.from_bytes(two_bytes, "big")


def open_jpeg(data: bytes) -> Image.Image:
    """Open a JPEG for which ``JpegHeader.is_common`` is true.

    ``Image.open`` would also look for further images behind the first, which an error in them would spoil.
    """
    return JpegImageFile(io.BytesIO(data))
