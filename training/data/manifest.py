"""A file beside the images that names each of them with its SHA-256, so that a change of the data set is noticed.

Its format is ``{"data": NAME, "images": [{"file": PATH, "class": ..., "split": ..., "sha256": ...}]}``. An entry may
have more keys, such as ``patient``. ``"healthy"`` beside ``"data"`` names the class without tumour, and ``"drawn"``
says how this project divided the images of a folder without a test folder.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from brain_tumor.atomic import atomic_file
from brain_tumor.quality.patients import patients_of
from training.data.errors import DataError
from training.layout import SPLITS

_HEALTHY, _DRAWN = "healthy", "drawn"


@dataclass(frozen=True)
class Differences:
    """How the images of a folder differ from its manifest; all are relative paths, sorted.

    Attributes:
        missing: The manifest names them, but they are not there.
        changed: They are there with another content.
        new: They are there, but the manifest does not name them.
    """

    missing: tuple[str, ...]
    changed: tuple[str, ...]
    new: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed or self.new)


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read or will be written.

    Attributes:
        name: The data set's name.
        entries: The entry of each image, by relative path, in the file's order.
        others: All other keys of the file, such as a phantom's plan.
    """

    name: str
    entries: dict[str, dict[str, Any]]
    others: dict[str, Any]

    @property
    def healthy(self) -> str | None:
        """The class without tumour, where the manifest names it."""
        return self.others.get(_HEALTHY)

    @property
    def drawn(self) -> bool:
        """Whether this project drew the test images."""
        return _DRAWN in self.others

    def stated(self, key: str) -> dict[str, str]:
        """What the entries say of the images: their "class" or "split", by relative path."""
        return {file: entry[key] for file, entry in self.entries.items() if entry.get(key) is not None}

    def patients(self) -> dict[str, Any]:
        """The patient of each image that has one, by relative path."""
        return patients_of(self.entries.values())

    def compare(self, hashes: Mapping[str, str]) -> Differences:
        """Compare the manifest with the images that are there. An entry without a hash cannot have changed.

        Args:
            hashes: The SHA-256 of each image, by relative path.
        """
        changed = (
            file
            for file, entry in self.entries.items()
            if file in hashes and entry.get("sha256") not in (None, hashes[file])
        )
        named = self.entries.keys()
        return Differences(
            tuple(sorted(named - hashes.keys())), tuple(sorted(changed)), tuple(sorted(hashes.keys() - named))
        )

    def save(self, path: Path) -> None:
        """Write the manifest.

        Raises:
            OSError: It cannot be written there.
        """
        with atomic_file(path) as scratch:
            scratch.write_text(self.as_json(), encoding="utf-8")

    def as_json(self) -> str:
        """The file's text."""
        images = list(self.entries.values())
        return json.dumps({"data": self.name, **self.others, "images": images}, indent=1) + "\n"


def read(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        DataError: The file is no manifest, or it names an image twice.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document, dict) and "images" not in document:
            raise DataError(
                f'{path} has no list "images". If an earlier version wrote it, rename its list as CHANGELOG.md says; '
                "remove any other file, and python -m training.data makes a new one"
            )
        images = list(document.pop("images"))
        name = str(document.pop("data"))
        entries = {str(image["file"]): dict(image) for image in images}
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(
            f"{path} is not a manifest of images: remove it, and python -m training.data makes a new one"
        ) from None
    if document.get(_HEALTHY) is not None and not isinstance(document[_HEALTHY], str):
        raise DataError(f"{path} names the class without tumour by something other than a text")
    for file, entry in entries.items():
        split, class_name = entry.get("split"), entry.get("class")
        if split not in (None, *SPLITS) or not isinstance(class_name, str | None) or class_name == "":
            raise DataError(f"{path}: the split of {file} must be {' or '.join(SPLITS)}, and its class a name")
    patients = [entry.get("patient") for entry in entries.values()]
    if not all(isinstance(patient, str | int | None) and not isinstance(patient, bool) for patient in patients):
        raise DataError(f"{path} names a patient by something other than a text or a number")
    if len(entries) < len(images):
        raise DataError(f"{path} names an image twice: remove it, and python -m training.data makes a new one")
    return Manifest(name, entries, document)


def hash_files(folder: Path, files: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of each file in hexadecimal digits, by relative path, in order.

    Raises:
        DataError: A file cannot be read; the message names it.
    """

    def hash_file(file: str) -> str:
        try:
            return hashlib.sha256((folder / file).read_bytes()).hexdigest()
        except OSError as error:
            raise DataError(f"cannot read {folder / file}: {error.strerror}") from None

    listed = list(files)
    with ThreadPoolExecutor() as pool:
        digests = list(tqdm(pool.map(hash_file, listed), total=len(listed), desc="hashing", unit="image", leave=False))
    return dict(zip(listed, digests, strict=True))
