"""A data set as the rest of training sees it: the names of its images, their classes, splits and patients.

This module alone knows where an image's class and split stand: in its path, or in the manifest, or, for the split, in
neither.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain_tumor.quality.patients import MANIFEST
from training.data.errors import DataError
from training.data.healthy import healthy_class
from training.data.listing import Listing, list_images, name_of
from training.data.manifest import Manifest, hash_files
from training.data.manifest import read as read_manifest
from training.layout import SPLITS, TESTING, TRAINING

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataSet:
    """The images of a folder; none of them has been decoded yet.

    Attributes:
        folder: The folder of the images: it holds the folders of the splits, or those of the classes.
        class_names: The class names, sorted; the model's outputs have this order.
        training: The paths of the training images, relative to ``folder``, sorted.
        testing: The paths of the test images, relative to ``folder``, sorted.
        name: The name in the manifest, or the folder's name where there is no manifest.
        classes: The class of each image, by relative path.
        patients: The patient of each image whose manifest entry names one, by relative path.
        drawn: Whether this project drew the test images, because the folder has no test folder.
        named_healthy: The class without tumour, where the user or the manifest names it.
    """

    folder: Path
    class_names: tuple[str, ...]
    training: tuple[str, ...]
    testing: tuple[str, ...]
    name: str
    classes: Mapping[str, str]
    patients: Mapping[str, Any] = field(default_factory=dict)
    drawn: bool = False
    named_healthy: str | None = None

    @property
    def healthy(self) -> str | None:
        """The class without tumour, as named or by its usual names; None where it is not known.

        Raises:
            DataError: Several classes have a usual name, and none was named.
        """
        return healthy_class(self.class_names, self.named_healthy)

    def labels(self, files: Iterable[str]) -> NDArray[np.int64]:
        """The class of each image, as an index into ``class_names``: int64 (n,)."""
        return np.array([self.class_names.index(self.classes[file]) for file in files], np.int64)

    def split_of(self, file: str) -> str:
        """Training or Testing, by an image's relative path."""
        return TESTING if file in self._tested else TRAINING

    def is_across_splits(self, files: Iterable[str]) -> bool:
        """Whether some of these images are in Training and some in Testing."""
        return len({self.split_of(file) for file in files}) > 1

    def is_across_classes(self, files: Iterable[str]) -> bool:
        """Whether these images have several classes; if they are copies of one another, a label is wrong."""
        return len({self.classes[file] for file in files}) > 1

    def fingerprint(self) -> str:
        """SHA-256 over the names, contents, classes and splits of all images, in order.

        A path Training/CLASS/NAME or Testing/CLASS/NAME says class and split itself, and stands alone.
        """
        digest = hashlib.sha256()
        for file in sorted(self.training + self.testing):
            content = hashlib.sha256((self.folder / file).read_bytes()).hexdigest()
            place = f"{self.split_of(file)}/{self.classes[file]}"
            more = "" if file.startswith(f"{place}/") else f"  {place}"
            digest.update(f"{content}  {file}{more}\n".encode())
        return digest.hexdigest()

    @cached_property
    def _tested(self) -> frozenset[str]:
        return frozenset(self.testing)


def find(folder: Path, healthy: str | None = None) -> DataSet:
    """List the images of a folder, in any layout that ``list_images`` knows.

    Where a manifest lies beside them, it must name exactly the images that are there, and what it says of an image's
    class and split goes before the folders. This function does not compare their hashes; ``python -m training.data``
    does. Where neither folders nor manifest divide the images, test images are drawn, the same ones each time.

    Args:
        folder: The folder of the images, or one that holds it and nothing else.
        healthy: The class without tumour, where the user names it.

    Raises:
        DataError: A folder is missing, misnamed or one level off, a class has no image in a split, the manifest does
            not fit the images, or there is no class ``healthy``.
    """
    listing = list_images(folder)
    manifest = _manifest_beside(listing)
    classes, splits = listing.classes | manifest.stated("class"), listing.splits | manifest.stated("split")
    _require_utf8((*classes, *classes.values()))
    drawn = manifest.drawn
    if not splits:
        splits, drawn = _drawn(listing.folder, classes, manifest.patients()), True
    elif lacking := sorted(classes.keys() - splits.keys()):
        path = listing.folder / MANIFEST
        raise DataError(f"{path} says of some images in which split they are, and of others not: {lacking[0]}")
    class_names = tuple(sorted(set(classes.values())))
    if len(class_names) < 2:
        raise DataError(f"{listing.folder / MANIFEST} puts all images into class {class_names[0]}: name two or more")
    files = {split: tuple(sorted(file for file in classes if splits[file] == split)) for split in SPLITS}
    for split in SPLITS:
        if lacking := sorted(set(class_names) - {classes[file] for file in files[split]}):
            raise DataError(f"{listing.folder / MANIFEST} leaves class {lacking[0]} without an image in {split}")
    named = healthy if healthy is not None else manifest.healthy
    if named is not None:
        healthy_class(class_names, named)
    return DataSet(
        listing.folder,
        class_names,
        files[TRAINING],
        files[TESTING],
        manifest.name or name_of(listing.folder),
        classes,
        manifest.patients(),
        drawn,
        named,
    )


def _manifest_beside(listing: Listing) -> Manifest:
    """The manifest beside the images, or one that says nothing."""
    path = listing.folder / MANIFEST
    if not path.exists():
        return Manifest("", {}, {})
    manifest = read_manifest(path)
    if strays := sorted(listing.classes.keys() ^ manifest.entries.keys()):
        raise DataError(
            f"{path} does not fit the images beside it: {strays[0]} is in only one of them; "
            f"python -m training.data {listing.folder} --check lists them all"
        )
    return manifest


def _require_utf8(names: Iterable[str]) -> None:
    """Make sure that every name can be written: fingerprints, reports and the model's metadata are UTF-8.

    A file's name is bytes, and a JSON text can hold halves of characters.
    """
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise DataError(f"the name {name!a} is not UTF-8: rename it") from None


def _drawn(folder: Path, classes: Mapping[str, str], patients: Mapping[str, Any]) -> dict[str, str]:
    """The split of each image, as this project draws it."""
    from training.data.drawn import draw  # imports scikit-learn, which a divided data set does not need here

    splits = draw(classes, patients, hash_files(folder, sorted(classes)))
    count = sum(split == TESTING for split in splits.values())
    log.info("%s has no test folder: %d of its %d images are drawn to test on", folder, count, len(splits))
    return splits
