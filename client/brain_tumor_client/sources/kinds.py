"""What a file is, by its first bytes, and by its suffix where they say nothing."""

import enum
from pathlib import PurePath

from brain_tumor_client.images import DICOM_MAGIC
from brain_tumor_client.sources.stored import Stored

_HEAD = 132  # bytes; DICOM's magic ends there
_MAGIC = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",  # JPEG
    b"\xff\xf7\xff",  # JPEG-LS
    b"GIF8",
    b"BM",
    b"II*\0",  # TIFF, and BigTIFF below
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"\xff\x4f\xff\x51",  # JPEG 2000, as a stream and as a file
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x0a",  # JPEG XL, likewise
    b"\0\0\0\x0cJXL \r\n\x87\n",
)
_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}
_SUFFIXES = """
    .png .apng .jpg .jpeg .jpe .jfif .jls .gif .bmp .dib .tif .tiff .webp .jp2 .j2k .j2c .jpx .jxl .avif .heic
    .heif .hif
"""
_IMAGES = frozenset(_SUFFIXES.split())
_DICOM = {".dcm", ".dicom", ".ima"}


class Kind(enum.Enum):
    """How a file is read."""

    IMAGE = enum.auto()
    DICOM = enum.auto()
    VOLUME = enum.auto()
    OTHER = enum.auto()


def kind_of(file: Stored) -> Kind:
    """Say what a file is. One that cannot be opened is what its suffix says: its row will hold the error.

    Raises:
        ImageAway: Only its first bytes say what it is, and they cannot be read now.
    """
    suffix = PurePath(file.name).suffix.lower()
    if suffix == ".nii" or file.name.lower().endswith(".nii.gz"):
        return Kind.VOLUME
    by_suffix = Kind.DICOM if suffix in _DICOM else Kind.IMAGE if suffix in _IMAGES else None
    if by_suffix and file.is_far:
        return by_suffix
    try:
        with file.open() as opened:
            head = opened.read(_HEAD)
    except OSError:
        head = b""
    offset, magic = DICOM_MAGIC
    if head[offset : offset + len(magic)] == magic:
        return Kind.DICOM
    if head.startswith(_MAGIC) or _is_container(head):
        return Kind.IMAGE
    return by_suffix or Kind.OTHER


def _is_container(head: bytes) -> bool:
    return (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or (head[4:8] == b"ftyp" and head[8:12] in _BRANDS)
