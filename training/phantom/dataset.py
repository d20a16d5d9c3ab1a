"""A phantom data set on disk, in the layout of the Kaggle set, with a manifest that says what each image is."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from brain_tumor.metadata import PHANTOM
from training.data import MANIFEST, TESTING, TRAINING
from training.phantom.lesions import KINDS
from training.phantom.patient import SLICES, ScannedSlice, scan
from training.phantom.scanner import PLANES
from training.workers import workers

MASKS = "Masks"
_ABBREVIATIONS = {"glioma": "gl", "meningioma": "me", "notumor": "no", "pituitary": "pi"}
_SPLITS = {TRAINING: "Tr", TESTING: "Te"}
_JPEG_QUALITY = 92
_GROUP = len(KINDS) * len(PLANES)  # this many patients hold every class in every plane once


class DatasetError(Exception):
    """The data set cannot be made as asked; the message says what to change."""


@dataclass(frozen=True)
class Plan:
    """What is to be made.

    Attributes:
        training, testing: patients of each split, multiples of 12 (four classes in three planes).
        size: of the images, pixels. masks: whether to write each tumour's mask, too.
    """

    training: int
    testing: int
    seed: int
    size: int
    masks: bool = False

    def __post_init__(self) -> None:
        for split in (self.training, self.testing):
            if split < _GROUP or split % _GROUP:
                raise DatasetError(
                    f"--patients must be multiples of {_GROUP} (four classes in three planes), not {split}"
                )
        if not 32 <= self.size <= 1024:
            raise DatasetError(f"--size must be 32 to 1024 pixels, not {self.size}")
        if self.seed < 0:
            raise DatasetError(f"--seed must not be negative, not {self.seed}")


@dataclass(frozen=True)
class Patient:
    """One patient's place in the data set; ``number`` seeds all that is random in it."""

    number: int
    split: str
    class_name: str
    plane: str
    first: int  # the number of the first image within split and class

    def files(self) -> list[str]:
        """The images' paths in the data set."""
        prefix = f"{_SPLITS[self.split]}-{_ABBREVIATIONS[self.class_name]}"
        return [f"{self.split}/{self.class_name}/{prefix}_{self.first + i:04d}.jpg" for i in range(SLICES)]


def patients(plan: Plan) -> list[Patient]:
    """Who is scanned: as many of each class in each plane, no one in both splits."""
    found: list[Patient] = []
    for split, count in zip(_SPLITS, (plan.training, plan.testing), strict=True):
        for index in range(count):
            turn, kind = divmod(index, len(KINDS))
            found.append(Patient(len(found), split, list(KINDS)[kind], list(PLANES)[turn % len(PLANES)], turn * SLICES))
    return found


def write(plan: Plan, out: Path, processes: int) -> int:
    """Make the data set; the same plan gives the same bytes, however many ``processes`` make it.

    Returns:
        how many images were written.

    Raises:
        DatasetError: ``out`` is not empty or cannot be written; nothing is left behind then.
    """
    everyone = patients(plan)
    hashes: dict[str, str] = {}
    with _published(out) as folder:
        for patient, images in zip(everyone, _scans(plan, everyone, processes), strict=True):
            for file, (image, mask) in zip(patient.files(), images, strict=True):
                _save(folder / file, image)
                hashes[file] = hashlib.sha256(image).hexdigest()
                if plan.masks:
                    _save((folder / MASKS / file).with_suffix(".png"), mask)
        (folder / MANIFEST).write_text(_manifest(plan, everyone, hashes), encoding="utf-8")
    return len(everyone) * SLICES


def _scans(plan: Plan, everyone: list[Patient], count: int) -> Iterator[list[tuple[bytes, bytes]]]:
    progress = partial(tqdm, total=len(everyone), desc="scanning", unit="patient")
    if count == 1:
        yield from progress(_encoded(plan, patient) for patient in everyone)
        return
    with workers(count) as pool:
        yield from progress(pool.imap(partial(_encoded, plan), everyone, chunksize=4))


def _encoded(plan: Plan, patient: Patient) -> list[tuple[bytes, bytes]]:
    """Each image as JPEG and, where the plan wants it, its mask as PNG."""
    images: Iterable[ScannedSlice] = scan(plan.seed, patient.number, patient.class_name, patient.plane, plan.size)
    return [
        (
            _bytes(image.pixels, format="JPEG", quality=_JPEG_QUALITY),
            _bytes(image.mask.astype(np.uint8) * 255, format="PNG") if plan.masks else b"",
        )
        for image in images
    ]


def _bytes(pixels: NDArray[np.uint8], **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, **options)
    return stream.getvalue()


def _save(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _manifest(plan: Plan, everyone: list[Patient], hashes: dict[str, str]) -> str:
    images = [
        {
            "file": file,
            "patient": patient.number,
            "class": patient.class_name,
            "plane": patient.plane,
            "split": patient.split,
            "sha256": hashes[file],
        }
        for patient in everyone
        for file in patient.files()
    ]
    return json.dumps({"data": PHANTOM, "plan": asdict(plan), "images": images}, indent=1) + "\n"


@contextmanager
def _published(out: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``out`` when all went well and vanishes otherwise."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out} exists and is not an empty folder: remove it, or name another")
    out = out.resolve()  # "." has no name
    folder = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        folder.mkdir(parents=True)
        yield folder
        if out.exists():
            out.rmdir()
        folder.rename(out)
    except OSError as error:
        raise DatasetError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
