"""TIFF files with several pages."""

from pathlib import PurePath

from PIL import Image

from brain_tumor_client.errors import ImageUnusable
from brain_tumor_client.sources.item import MAX_FRAMES
from brain_tumor_client.sources.stored import Stored

_SUFFIXES = {".tif", ".tiff"}


def count_pages(file: Stored) -> int:
    """How many pages a file has; 1 for any that is no TIFF, or cannot be read: the service says what is wrong with it.

    Raises:
        ImageAway: It cannot be read now.
    """
    if PurePath(file.name).suffix.lower() not in _SUFFIXES:
        return 1
    try:
        with file.on_disk() as path, Image.open(path, formats=["TIFF"]) as image:
            pages = int(getattr(image, "n_frames", 1))
    except (ImageUnusable, OSError, SyntaxError, ValueError, TypeError, EOFError, Image.DecompressionBombError):
        return 1
    return pages if pages <= MAX_FRAMES else 1
