"""Images of a data set as arrays, by the preprocessing that the gateway uses."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from brain_tumor.image import ImageError
from brain_tumor.preprocess import Prepared, Preprocessor
from training.data.errors import DataError


def read(folder: Path, files: list[str], preprocessor: Preprocessor) -> NDArray[np.uint8]:
    """Decode and resize images once, into a temporary file that is mapped into memory.

    Args:
        folder: The data set's folder.
        files: Paths of the images, relative to ``folder``.
        preprocessor: What decodes and resizes them.

    Returns:
        uint8 (n, height, width, 3).

    Raises:
        DataError: An image cannot be read (the message names it), or there is no room for the temporary file.
    """
    width, height = preprocessor.target_size
    with tempfile.TemporaryFile() as cache:
        _reserve(cache.fileno(), len(files) * height * width * 3)
        pixels = np.memmap(cache, np.uint8, "r+", shape=(len(files), height, width, 3))

    def read_image(index: int) -> None:
        pixels[index] = _prepared(folder / files[index], preprocessor).batch[0]

    with ThreadPoolExecutor() as pool:
        for _ in tqdm(pool.map(read_image, range(len(files))), total=len(files), desc="reading", unit="image"):
            pass
    return pixels


def sizes(folder: Path, files: list[str], preprocessor: Preprocessor) -> list[int]:
    """Pixels of each image's longer side, before it is prepared; the rest as in ``read``."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda file: _prepared(folder / file, preprocessor).size, files))


def _prepared(path: Path, preprocessor: Preprocessor) -> Prepared:
    try:
        return preprocessor.prepare(path.read_bytes())
    except (ImageError, OSError) as error:
        raise DataError(f"cannot read {path}: {error}") from error


def _reserve(file: int, size: int) -> None:
    """Give a file its size and all its blocks now.

    If the disk filled up later, a write to the mapped memory would kill the process without a message.
    """
    try:
        os.posix_fallocate(file, 0, size) if hasattr(os, "posix_fallocate") else os.truncate(file, size)
    except OSError as error:
        raise DataError(
            f"no room for {size / 1e6:,.0f} MB of decoded images in {tempfile.gettempdir()} ({error.strerror}): free "
            "some, or let TMPDIR name another folder"
        ) from None
