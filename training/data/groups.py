"""Which images belong together: those of one patient, and copies of one another.

The audit finds the copies. A split keeps each group on one side.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain_tumor.atomic import atomic_file
from training.data.data_set import DataSet
from training.data.errors import DataError

GROUPS_FILE = "groups.json"


@dataclass(frozen=True)
class Groups:
    """Two partitions of a data set's images, by relative path.

    Attributes:
        groups: The group of each image. A group holds the images of one patient and all copies of any of them; a split
            must not divide it.
        copies: The set of copies of each image: images that show the same, exactly or nearly. An image without a copy
            has a number of its own.
        audited: Whether an audit has looked for copies.
    """

    groups: dict[str, int]
    copies: dict[str, int]
    audited: bool

    def of(self, files: Iterable[str]) -> NDArray[np.int64]:
        """The group of each image: int64 (n,)."""
        return np.array([self.groups[file] for file in files], np.int64)

    def digest(self) -> str:
        """SHA-256 of both partitions."""
        return hashlib.sha256(json.dumps([self.groups, self.copies]).encode()).hexdigest()

    def save(self, path: Path, fingerprint: str) -> None:
        """Write both partitions as JSON.

        Args:
            path: The file to write.
            fingerprint: The fingerprint of the data set they belong to.
        """
        document = {"fingerprint": fingerprint, "groups": self.groups, "copies": self.copies}
        with atomic_file(path) as scratch:
            scratch.write_text(json.dumps(document, indent=0) + "\n", encoding="utf-8")


def load(path: Path, data: DataSet) -> Groups:
    """Read the groups that the audit of ``data`` wrote.

    Raises:
        DataError: There is no such file, or it belongs to other images.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        groups = Groups(dict(document["groups"]), dict(document["copies"]), audited=True)
        fingerprint = document["fingerprint"]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; make it with python -m training.audit") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path} is not what python -m training.audit writes") from None
    files = {*data.training, *data.testing}
    if groups.groups.keys() != files or groups.copies.keys() != files or fingerprint != data.fingerprint():
        raise DataError(f"{path} belongs to other images than {data.folder}: run python -m training.audit again")
    patients: dict[object, int] = {}
    for file, patient in data.patients.items():
        if patients.setdefault(patient, groups.groups[file]) != groups.groups[file]:
            raise DataError(f"{path} separates the images of patient {patient}: run python -m training.audit again")
    return groups


def by_patient(data: DataSet) -> Groups:
    """The groups of a data set that was not audited.

    Images of one patient are a group where the manifest names patients; any other image is a group of its own.
    """
    files = [*data.training, *data.testing]
    numbers: dict[object, int] = {}
    groups = {file: numbers.setdefault(data.patients.get(file, file), len(numbers)) for file in files}
    return Groups(groups, {file: index for index, file in enumerate(files)}, audited=False)


def load_or_by_patient(path: Path | None, data: DataSet) -> Groups:
    """The groups of an audit, or those of the patients where there was none.

    Args:
        path: The audit's file; None if there is none.
        data: The images.

    Raises:
        DataError: As ``load`` does.
    """
    return load(path, data) if path else by_patient(data)
