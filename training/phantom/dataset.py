"""Writes a phantom data set in the layout of the Kaggle set, with a manifest that describes each image.

The real set cannot ship with the project. In the phantom, heads are solid functions of three coordinates, so that a
slice in any plane shows the same anatomy; everything but the lesion is drawn before the class is looked at.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from brain_tumor.atomic import atomic_folder
from brain_tumor.metadata import PHANTOM
from brain_tumor.quality.patients import MANIFEST
from training.errors import TrainingError
from training.layout import TESTING, TRAINING
from training.phantom.lesions import KINDS
from training.phantom.patient import SLICES, ScannedSlice, scan
from training.phantom.scanner import PLANES
from training.workers import workers

MASKS = "Masks"
_ABBREVIATIONS = {"glioma": "gl", "meningioma": "me", "notumor": "no", "pituitary": "pi"}
_SPLIT_PREFIXES = {TRAINING: "Tr", TESTING: "Te"}  # of the file names, as in the Kaggle set
_JPEG_QUALITY = 92
_GROUP = len(KINDS) * len(PLANES)  # patients that hold every class in every plane once


class PhantomError(TrainingError):
    """The phantom cannot be made as the options ask; the message says what to change."""


@dataclass(frozen=True)
class Plan:
    """Describes the phantom to make.

    Attributes:
        training: Number of training patients, a multiple of 12 (four classes in three planes).
        testing: Number of test patients, likewise.
        seed: Another seed makes other patients.
        size: Side of the images, in pixels.
        masks: Whether each tumour's mask is written, too.
    """

    training: int
    testing: int
    seed: int
    size: int
    masks: bool = False

    def __post_init__(self) -> None:
        for count in (self.training, self.testing):
            if count < _GROUP or count % _GROUP:
                raise PhantomError(
                    f"--patients must be multiples of {_GROUP} (four classes in three planes), not {count}"
                )
        if not 32 <= self.size <= 1024:
            raise PhantomError(f"--size must be 32 to 1024 pixels, not {self.size}")
        if self.seed < 0:
            raise PhantomError(f"--seed must not be negative, not {self.seed}")


@dataclass(frozen=True)
class Patient:
    """One patient's position in the data set.

    Attributes:
        number: The patient's number, which seeds everything that is random in the patient's images.
        split: Training or Testing.
        class_name: The class that the images show.
        plane: The plane that is cut.
        first: The number of the patient's first image within split and class.
    """

    number: int
    split: str
    class_name: str
    plane: str
    first: int

    def files(self) -> list[str]:
        """The images' paths in the data set."""
        prefix = f"{_SPLIT_PREFIXES[self.split]}-{_ABBREVIATIONS[self.class_name]}"
        return [f"{self.split}/{self.class_name}/{prefix}_{self.first + i:04d}.jpg" for i in range(SLICES)]


def patients(plan: Plan) -> list[Patient]:
    """The patients of a plan: every class has as many in each plane, and no patient is in both splits."""
    everyone: list[Patient] = []
    for split, count in zip(_SPLIT_PREFIXES, (plan.training, plan.testing), strict=True):
        for index in range(count):
            turn, kind = divmod(index, len(KINDS))
            plane = list(PLANES)[turn % len(PLANES)]
            everyone.append(Patient(len(everyone), split, list(KINDS)[kind], plane, turn * SLICES))
    return everyone


def write(plan: Plan, out: Path, processes: int) -> int:
    """Make the data set; the same plan gives the same bytes, however many processes make it.

    Args:
        plan: What to make.
        out: The folder to make; it may exist, but must be empty then.
        processes: Number of processes.

    Returns:
        The number of images.

    Raises:
        PhantomError: ``out`` is not empty or cannot be written; nothing is left behind then.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PhantomError(f"{out} exists and is not an empty folder: remove it, or name another")
    everyone = patients(plan)
    hashes: dict[str, str] = {}
    try:
        with atomic_folder(out.resolve(), replace_empty=True) as folder:
            for patient, images in zip(everyone, _scans(plan, everyone, processes), strict=True):
                for file, (image, mask) in zip(patient.files(), images, strict=True):
                    _save(folder / file, image)
                    hashes[file] = hashlib.sha256(image).hexdigest()
                    if plan.masks:
                        _save((folder / MASKS / file).with_suffix(".png"), mask)
            (folder / MANIFEST).write_text(_manifest(plan, everyone, hashes), encoding="utf-8")
    except OSError as error:
        raise PhantomError(f"cannot write {out}: {error.strerror or error}") from error
    return len(everyone) * SLICES


def _scans(plan: Plan, everyone: list[Patient], count: int) -> Iterator[list[tuple[bytes, bytes]]]:
    progress = partial(tqdm, total=len(everyone), desc="scanning", unit="patient")
    if count == 1:
        yield from progress(_encoded(plan, patient) for patient in everyone)
        return
    with workers(count) as pool:
        yield from progress(pool.imap(partial(_encoded, plan), everyone, chunksize=4))


def _encoded(plan: Plan, patient: Patient) -> list[tuple[bytes, bytes]]:
    """Each image as JPEG and, where the plan asks for masks, its mask as PNG."""
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
