"""Decodes images of the rarer formats in a process of its own.

Their decoders allocate what a file's inner parts ask for, whatever its header says, and a fault in one ends its
process. So the process has little memory and time, and its end costs one image.
"""

import json
import math
import mmap
import os
import signal
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from brain_tumor.image import errors
from brain_tumor.image.dicom.start import few_pixels
from brain_tumor.image.errors import ImageError, ImageTooLarge, broken, no_such_page, too_large, unsupported
from brain_tumor.image.fork_server import TookTooLong, runner
from brain_tumor.image.formats import DICOM, JPEG_2000, JPEG_LS

_PROGRAM = Path(__file__).with_name("apart_program.py")
_CPU_SECONDS = 10  # the slowest format, JPEG-LS, takes 4 for the largest image
_SECONDS = 20  # by the clock, on a machine that has other work too
_MEMORY = 64 << 20  # bytes, besides the libraries
_COPIES_OF_DICOM = 6  # of a file's bytes: as they are, as pixels, and as a library takes them
_MEMORY_TO_INFLATE = 192 << 20  # bytes
_MEMORY_PER_PIXEL = 14  # bytes: the planes of a decoder, its result, and a copy of it
_MEMORY_TIMES = {JPEG_2000: 2, JPEG_LS: 2}  # their decoders take more for each pixel, so they get fewer
_REFUSALS = ("BrokenImage", "ImageTooLarge", "NoSuchPage", "UnknownImageType", "UnusableImage")

_runner = runner(_PROGRAM)


@dataclass(frozen=True)
class Wanted:
    """For how long an image is wanted.

    Attributes:
        seconds: From now.
        while_wanted: A context manager for the work on it, which calls what it is given, from any thread, when nobody
            wants the image any more.
    """

    seconds: float = math.inf
    while_wanted: Callable[[Callable[[], object]], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True)
class Apart:
    """What the process has decoded.

    Attributes:
        image: An upright image; of a JPEG, JPEG-LS or DICOM file the samples, (height, width) or (height, width, 3).
        told: What else it says: for DICOM the keys ``dicom`` and ``warnings``.
    """

    image: Image.Image | NDArray[Any]
    told: dict[str, Any]


def decode_apart(
    data: bytes,
    name: str,
    max_pixels: int,
    page: int | None = None,
    *,
    size: tuple[int, int] = (0, 0),
    ycc: bool = False,
    wanted: Wanted = Wanted(),
) -> Apart:
    """Decode one image of a format that ``apart_decoders`` knows.

    Args:
        data: The file.
        name: The format, a key of ``brain_tumor.image.formats.FORMATS``.
        max_pixels: Largest count of pixels; half of it for JPEG 2000 and JPEG-LS.
        page: Which image of a sequence, or frame; None for the one that the file names first, of DICOM the middle one.
        size: For JPEG and JPEG-LS: width and height, as the header says.
        ycc: For JPEG and JPEG-LS: whether the components are luma and chroma.
        wanted: Ends the process: when its time is over the image takes too long; when nobody wants it any more, it is
            as if it were damaged.

    Raises:
        ImageTooLarge: The image has more than ``max_pixels`` pixels, or takes too long.
        NoSuchPage: There is no such page.
        UnknownImageType: The file is sound, and of a kind that the decoder does not know.
        UnusableImage: No pixel is finite.
        BrokenImage: The image is damaged, or takes more memory than its size explains.
    """
    if name == DICOM:
        few = few_pixels(data)
        max_pixels = min(max_pixels, 2 * few if few else max_pixels)  # of slow compressions half as many are allowed
        memory = _MEMORY + _COPIES_OF_DICOM * len(data) + (0 if few else _MEMORY_TO_INFLATE)
    else:
        memory = _MEMORY
    memory += _MEMORY_PER_PIXEL * max_pixels
    max_pixels //= _MEMORY_TIMES.get(name, 1)
    if size[0] * size[1] > max_pixels:
        raise _too_large(name, max_pixels)
    arguments = [*map(str, (name, max_pixels, page or 0, int(ycc), memory, _CPU_SECONDS))]
    with _memory_file() as source, _memory_file() as target:
        source.write(data)
        source.seek(0)
        try:
            status = _runner.run(arguments, source, target, min(_SECONDS, wanted.seconds), wanted.while_wanted)
        except TookTooLong:
            raise _too_heavy() from None
        if status == -signal.SIGXCPU:
            raise _too_heavy()
        if status:
            raise broken()
        # Not copied: what is returned keeps it in memory.
        result = mmap.mmap(target.fileno(), 0, access=mmap.ACCESS_READ)
    header, pixels = json.loads(result.readline()), result.tell()
    match header.pop("kind"):
        case "image":
            return Apart(Image.frombytes(header["mode"], tuple(header["size"]), memoryview(result)[pixels:]), {})
        case "samples":
            samples = np.ndarray(header.pop("shape"), np.dtype(header.pop("dtype")), result, pixels)
            return Apart(samples, header)
        case "too large":
            raise _too_large(name, max_pixels)
        case "too heavy":
            raise _too_heavy()
        case "no such page":
            raise no_such_page(page or 1, header["count"])
        case "unsupported":
            raise unsupported(header["what"])
        case "refused" if header["error"] in _REFUSALS:
            error: ImageError = getattr(errors, header["error"])(header["message"])
            raise error
    raise broken()


def _memory_file() -> BinaryIO:
    """A file that is in memory where the system has such files."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("image"), "r+b", buffering=0)  # noqa: PTH123 - it has no path
    return tempfile.TemporaryFile(buffering=0)


def _too_heavy() -> ImageTooLarge:
    return ImageTooLarge("The image takes too much time or memory to decode. Send a smaller one, or save it as PNG.")


def _too_large(name: str, max_pixels: int) -> ImageTooLarge:
    if name not in _MEMORY_TIMES:
        return too_large(max_pixels)
    return ImageTooLarge(f"The image has more than {max_pixels:,} pixels, the most for {name}. Send a smaller one.")
