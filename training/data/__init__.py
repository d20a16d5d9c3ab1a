"""A folder of images in the Kaggle layout to arrays: what is in it, who belongs together, and its fingerprint."""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from brain_tumor.image import ImageError, Preprocessor
from training.data.layout import TESTING, TRAINING, DataError, look, name_of
from training.data.manifest import MANIFEST
from training.data.manifest import read as read_manifest

__all__ = ["MANIFEST", "TESTING", "TRAINING", "DataError", "DataSet", "find", "read"]


@dataclass(frozen=True)
class DataSet:
    """Which images there are; none is read yet.

    Attributes:
        class_names: sorted, as the model's outputs will be.
        training, testing: paths relative to ``folder``, sorted. name: as the manifest says, or else the folder.
        patients: by relative path, where a manifest gives them.
    """

    folder: Path
    class_names: tuple[str, ...]
    training: tuple[str, ...]
    testing: tuple[str, ...]
    name: str
    patients: dict[str, Any]

    def labels(self, files: Iterable[str]) -> NDArray[np.int64]:
        """Each image's class, as its place in ``class_names``: int64 (n,)."""
        return np.array([self.class_names.index(Path(file).parent.name) for file in files])

    def fingerprint(self) -> str:
        """SHA-256 over the images' names and contents, in order: another image, name or split changes it."""
        digest = hashlib.sha256()
        for file in sorted(self.training + self.testing):
            content = hashlib.sha256((self.folder / file).read_bytes()).hexdigest()
            digest.update(f"{content}  {file}\n".encode())
        return digest.hexdigest()


def find(folder: Path) -> DataSet:
    """Look through ``folder``, which holds Training/CLASS/IMAGE and Testing/CLASS/IMAGE.

    Where a manifest lies beside them, it must name exactly the images that are there. Their hashes are not looked
    at, which python -m training.data does; patients it may name or not.

    Raises:
        DataError: a folder is missing, misnamed or one level off, a class has no image in a split, or the manifest
            does not fit the images.
    """
    names, files = look(folder)
    name, patients = _manifest(folder, {*files[TRAINING], *files[TESTING]})
    return DataSet(folder, names, files[TRAINING], files[TESTING], name or name_of(folder), patients)


def read(folder: Path, files: list[str], preprocessor: Preprocessor) -> NDArray[np.uint8]:
    """Decode and resize images once, into a temporary file mapped into memory: uint8 (n, height, width, 3).

    Raises:
        DataError: an image cannot be read, which the message names; or there is no room for the file.
    """
    width, height = preprocessor.target_size
    with tempfile.TemporaryFile() as cache:
        _reserve(cache.fileno(), len(files) * height * width * 3)
        pixels = np.memmap(cache, np.uint8, "r+", shape=(len(files), height, width, 3))

    def one(index: int) -> None:
        try:
            pixels[index] = preprocessor.from_bytes((folder / files[index]).read_bytes())[0]
        except (ImageError, OSError) as error:
            raise DataError(f"cannot read {folder / files[index]}: {error}") from error

    with ThreadPoolExecutor() as pool:
        for _ in tqdm(pool.map(one, range(len(files))), total=len(files), desc="reading", unit="image"):
            pass
    return pixels


def _reserve(file: int, size: int) -> None:
    """Make a file so large, with all its blocks: a disk that fills up later would end the process without a word."""
    try:
        os.posix_fallocate(file, 0, size) if hasattr(os, "posix_fallocate") else os.truncate(file, size)
    except OSError as error:
        raise DataError(
            f"no room for {size / 1e6:,.0f} MB of decoded images in {tempfile.gettempdir()} ({error.strerror}): free "
            "some, or let TMPDIR name another folder"
        ) from None


def _manifest(folder: Path, files: set[str]) -> tuple[str, dict[str, Any]]:
    """The data's name and the images' patients, as the manifest says; nothing where there is none."""
    path = folder / MANIFEST
    if not path.exists():
        return "", {}
    manifest = read_manifest(path)
    if strays := sorted(files ^ manifest.entries.keys()):
        raise DataError(
            f"{path} does not fit the images beside it: {strays[0]} stands in only one of them; "
            f"python -m training.data {folder} --check names them all"
        )
    return manifest.name, manifest.patients()
