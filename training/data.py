"""A folder of pictures in the Kaggle layout to arrays: what is in it, who belongs together, and its fingerprint."""

import hashlib
import json
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from brain_tumor.picture import SUFFIXES, PictureError, Preprocessor

TRAINING, TESTING = "Training", "Testing"
MANIFEST = "manifest.json"


class DataError(Exception):
    """A data set that cannot be trained on; the message says what to change."""


@dataclass(frozen=True)
class DataSet:
    """Which pictures there are; none is read yet.

    Attributes:
        class_names: sorted, as the model's outputs will be.
        training, testing: paths relative to ``folder``, sorted. name: "phantom", or the folder's name.
        patients: by relative path, where a manifest gives them.
    """

    folder: Path
    class_names: tuple[str, ...]
    training: tuple[str, ...]
    testing: tuple[str, ...]
    name: str
    patients: dict[str, Any]

    def labels(self, files: Iterable[str]) -> NDArray[np.int64]:
        """Each picture's class, as its place in ``class_names``: int64 (n,)."""
        return np.array([self.class_names.index(Path(file).parent.name) for file in files])

    def fingerprint(self) -> str:
        """SHA-256 over the pictures' names and contents, in order: another picture, name or split changes it."""
        digest = hashlib.sha256()
        for file in sorted(self.training + self.testing):
            content = hashlib.sha256((self.folder / file).read_bytes()).hexdigest()
            digest.update(f"{content}  {file}\n".encode())
        return digest.hexdigest()


def find(folder: Path) -> DataSet:
    """Look through ``folder``, which holds Training/CLASS/PICTURE and Testing/CLASS/PICTURE.

    Raises:
        DataError: a folder is missing, a class has no picture in a split, or the manifest does not fit the pictures.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    classes: dict[str, set[str]] = {}
    files: dict[str, tuple[str, ...]] = {}
    for split in (TRAINING, TESTING):
        if not (folder / split).is_dir():
            raise DataError(
                f"{folder} has no folder {split}: it must hold Training/CLASS/PICTURE and Testing/CLASS/PICTURE"
            )
        classes[split] = {path.name for path in (folder / split).iterdir() if path.is_dir()}
        found = (folder / split).glob("*/*")
        files[split] = tuple(sorted(p.relative_to(folder).as_posix() for p in found if p.suffix.lower() in SUFFIXES))
    names = tuple(sorted(classes[TRAINING] | classes[TESTING]))
    if len(names) < 2:
        raise DataError(f"{folder / TRAINING} must hold two or more class folders, not {len(names)}")
    for split in (TRAINING, TESTING):
        for name in names:
            if name not in classes[split]:
                raise DataError(f"{folder / split} has no class folder {name}")
            if not any(file.startswith(f"{split}/{name}/") for file in files[split]):
                raise DataError(f"{folder / split / name} has no picture ({', '.join(sorted(SUFFIXES))})")
    data, patients = _manifest(folder, {*files[TRAINING], *files[TESTING]})
    return DataSet(folder, names, files[TRAINING], files[TESTING], data or folder.resolve().name, patients)


def hold_out(data: DataSet, share: float, seed: int) -> tuple[list[str], list[str]]:
    """Split the training pictures, class by class, into those to fit and those to validate on.

    A patient's pictures stay together where the manifest names patients; otherwise every picture stands alone.

    Raises:
        DataError: a class has too few patients to spare one.
    """
    rng = np.random.default_rng(seed)
    held: set[str] = set()
    for name in data.class_names:
        groups: dict[Any, list[str]] = {}
        for file in data.training:
            if Path(file).parent.name == name:
                groups.setdefault(data.patients.get(file, file), []).append(file)
        if len(groups) < 2:
            raise DataError(f"{data.folder / TRAINING / name} needs two or more patients, one to validate on")
        order = rng.permutation(len(groups))[: max(1, round(share * len(groups)))]
        members = list(groups.values())
        held.update(file for index in order for file in members[index])
    return [file for file in data.training if file not in held], [file for file in data.training if file in held]


def read(folder: Path, files: list[str], preprocessor: Preprocessor) -> NDArray[np.uint8]:
    """Decode and resize pictures once, into a temporary file mapped into memory: uint8 (n, height, width, 3).

    Raises:
        DataError: a picture cannot be read; the message names it.
    """
    width, height = preprocessor.target_size
    with tempfile.TemporaryFile() as cache:
        pixels = np.memmap(cache, np.uint8, "w+", shape=(len(files), height, width, 3))

    def one(index: int) -> None:
        try:
            pixels[index] = preprocessor.from_bytes((folder / files[index]).read_bytes())[0]
        except (PictureError, OSError) as error:
            raise DataError(f"cannot read {folder / files[index]}: {error}") from error

    with ThreadPoolExecutor() as pool:
        for _ in tqdm(pool.map(one, range(len(files))), total=len(files), desc="reading", unit="picture"):
            pass
    return pixels


def _manifest(folder: Path, files: set[str]) -> tuple[str, dict[str, Any]]:
    """The data's name and each picture's patient, as the manifest says; nothing where there is none."""
    path = folder / MANIFEST
    if not path.exists():
        return "", {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        name = str(document["data"])
        patients = {picture["file"]: picture["patient"] for picture in document["pictures"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a manifest of pictures: {error!r}") from None
    if strays := sorted(files ^ patients.keys()):
        raise DataError(f"{path} does not fit the pictures beside it: {strays[0]} stands in only one of them")
    return name, patients
