"""From an image's bytes to its upright RGB pixels: every format, and no hostile file that takes much time or memory.

Pillow alone reduces 16-bit colour and greyscale to a few levels, ignores EXIF orientation and transparency, and sets no
limit on what it decodes.
"""

from brain_tumor.image.apart import Wanted
from brain_tumor.image.decode import MAX_PIXELS, MIN_SIDE, decode, describe, read_image
from brain_tumor.image.decoded import Decoded, Dicom, FileFacts, Window
from brain_tumor.image.errors import (
    BrokenImage,
    ImageError,
    ImageTooLarge,
    NoSuchPage,
    UnknownImageType,
    UnusableImage,
)
from brain_tumor.image.formats import FORMATS, SUFFIXES
from brain_tumor.image.weight import HEAVY_PIXELS, is_heavy

__all__ = [
    "FORMATS",
    "HEAVY_PIXELS",
    "MAX_PIXELS",
    "MIN_SIDE",
    "SUFFIXES",
    "BrokenImage",
    "Decoded",
    "Dicom",
    "FileFacts",
    "ImageError",
    "ImageTooLarge",
    "NoSuchPage",
    "UnknownImageType",
    "UnusableImage",
    "Wanted",
    "Window",
    "decode",
    "describe",
    "is_heavy",
    "read_image",
]
