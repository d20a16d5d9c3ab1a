"""A data set as the rest of training sees it: the names of its images, their classes, splits and patients."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.errors import DataError
from training.data.listing import list_images, name_of
from training.data.manifest import read as read_manifest
from training.layout import MANIFEST, TESTING, TRAINING


@dataclass(frozen=True)
class DataSet:
    """The images of a folder; none of them has been read yet.

    Attributes:
        folder: The folder that holds Training and Testing.
        class_names: The class names, sorted; the model's outputs have this order.
        training: The paths of the training images, relative to ``folder``, sorted.
        testing: The paths of the test images, relative to ``folder``, sorted.
        name: The name in the manifest, or the folder's name where there is no manifest.
        patients: The patient of each image whose manifest entry names one, by relative path.
    """

    folder: Path
    class_names: tuple[str, ...]
    training: tuple[str, ...]
    testing: tuple[str, ...]
    name: str
    patients: dict[str, Any]

    def labels(self, files: Iterable[str]) -> NDArray[np.int64]:
        """The class of each image, as an index into ``class_names``: int64 (n,)."""
        return np.array([self.class_names.index(Path(file).parent.name) for file in files])

    def fingerprint(self) -> str:
        """SHA-256 over the names and contents of all images, in order.

        It changes when an image, a name or the split changes.
        """
        digest = hashlib.sha256()
        for file in sorted(self.training + self.testing):
            content = hashlib.sha256((self.folder / file).read_bytes()).hexdigest()
            digest.update(f"{content}  {file}\n".encode())
        return digest.hexdigest()


def find(folder: Path) -> DataSet:
    """List the images of a folder that holds Training/CLASS/IMAGE and Testing/CLASS/IMAGE.

    Where a manifest lies beside them, it must name exactly the images that are there. This function does not compare
    their hashes; ``python -m training.data`` does.

    Args:
        folder: The folder that holds Training and Testing.

    Raises:
        DataError: A folder is missing, misnamed or one level off, a class has no image in a split, or the manifest
            does not fit the images.
    """
    class_names, files = list_images(folder)
    name, patients = _from_manifest(folder, {*files[TRAINING], *files[TESTING]})
    return DataSet(folder, class_names, files[TRAINING], files[TESTING], name or name_of(folder), patients)


def _from_manifest(folder: Path, files: set[str]) -> tuple[str, dict[str, Any]]:
    """The data set's name and the images' patients; both are empty where there is no manifest."""
    path = folder / MANIFEST
    if not path.exists():
        return "", {}
    manifest = read_manifest(path)
    if strays := sorted(files ^ manifest.entries.keys()):
        raise DataError(
            f"{path} does not fit the images beside it: {strays[0]} is in only one of them; "
            f"python -m training.data {folder} --check lists them all"
        )
    return manifest.name, manifest.patients()
