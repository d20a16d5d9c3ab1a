"""Which images belong together: a patient's, and copies of one another. The audit finds them, splits keep them."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain_tumor.atomic import atomic_file
from training.data import DataError, DataSet

GROUPS_FILE = "groups.json"


@dataclass(frozen=True)
class Groups:
    """Two partitions of a data set's images, by relative path.

    Attributes:
        groups: images that a split must not part: one patient's, and whatever is a copy of any of them.
        copies: images that show the same, exactly or nearly; one without a copy has a number of its own.
        audited: whether copies were looked for.
    """

    groups: dict[str, int]
    copies: dict[str, int]
    audited: bool

    def of(self, files: Iterable[str]) -> NDArray[np.int64]:
        """Each image's group: int64 (n,)."""
        return np.array([self.groups[file] for file in files], np.int64)

    def digest(self) -> str:
        """SHA-256 of both: other groups or copies change it."""
        return hashlib.sha256(json.dumps([self.groups, self.copies]).encode()).hexdigest()

    def save(self, path: Path, fingerprint: str) -> None:
        """Write them with the fingerprint of the data they belong to."""
        document = {"fingerprint": fingerprint, "groups": self.groups, "copies": self.copies}
        with atomic_file(path) as scratch:
            scratch.write_text(json.dumps(document, indent=0) + "\n", encoding="utf-8")


def load(path: Path, data: DataSet) -> Groups:
    """Read what the audit of ``data`` wrote.

    Raises:
        DataError: no such file, or it belongs to other images.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        groups = Groups(dict(document["groups"]), dict(document["copies"]), audited=True)
        fingerprint = document["fingerprint"]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; make it with python -m training.audit") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path} is not what python -m training.audit writes") from None
    everything = {*data.training, *data.testing}
    if groups.groups.keys() != everything or groups.copies.keys() != everything or fingerprint != data.fingerprint():
        raise DataError(f"{path} belongs to other images than {data.folder}: run python -m training.audit again")
    patients: dict[object, int] = {}
    for file, patient in data.patients.items():
        if patients.setdefault(patient, groups.groups[file]) != groups.groups[file]:
            raise DataError(f"{path} parts the images of patient {patient}: run python -m training.audit again")
    return groups


def by_patient(data: DataSet) -> Groups:
    """Without an audit: patients where the manifest names them, and otherwise every image alone."""
    files = [*data.training, *data.testing]
    numbers: dict[object, int] = {}
    groups = {file: numbers.setdefault(data.patients.get(file, file), len(numbers)) for file in files}
    return Groups(groups, {file: index for index, file in enumerate(files)}, audited=False)
