"""The images that calibrate the int8 form, and those that judge it: no image, no copy and no patient is in both."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain_tumor.metadata import ModelMetadata
from brain_tumor.quality.fold import fold
from brain_tumor.quality.healthy import HEALTHY_CLASS, usually_healthy
from brain_tumor.quality.joined import equal_pairs, joined
from brain_tumor.quality.patients import MANIFEST, patients_of
from converter.check.labelled import Labelled, class_folders, labelled, prepared
from converter.errors import ConversionError
from converter.int8.guard import MIN_GROUPS

_MOST = 1200  # images, spread evenly over the classes; Xception takes about four minutes for them
_MOST_CALIBRATING, _SHARE = 300, 0.25  # NNCF looks at 300 images at most unless told otherwise
_SEED = 0


@dataclass(frozen=True)
class Images:
    """Labelled images.

    Attributes:
        pixels: As the model takes them, uint8 (image, height, width, 3).
        labels: int64 (image,).
        groups: Images of one patient and copies of one image have one: int64 (image,).
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]

    def only(self, chosen: NDArray[np.int64]) -> "Images":
        """Some of them, by index."""
        return Images(self.pixels[chosen], self.labels[chosen], self.groups[chosen])


@dataclass(frozen=True)
class Parted:
    """Images in two parts.

    Attributes:
        calibrating: They calibrate the int8 form, and its temperature and threshold are fitted on them.
        judging: The guard judges on them.
        healthy: The label of the class without tumour; None where none is known.
    """

    calibrating: Images
    judging: Images
    healthy: int | None


def parted(folder: Path, metadata: ModelMetadata) -> Parted:
    """Read labelled images, and part them by class and group.

    Args:
        folder: It has a folder for each class; of a data set with the usual folders the test set is taken.
        metadata: The model's.

    Raises:
        ConversionError: They are not labelled, too few, or one cannot be used.
    """
    folders, names = class_folders(folder), ", ".join(metadata.class_names)
    chosen = labelled(folders, metadata.class_names, _MOST) if folders else None
    if chosen is None:
        raise ConversionError(f"{folder}: --int8 needs labelled images, a folder for each of the classes {names}")
    healthy = _healthy(metadata)
    patients = _patients(folder, chosen)
    pixels = prepared(metadata.image, chosen.paths)
    pairs = equal_pairs(patients) + equal_pairs([hashlib.sha256(image.tobytes()).digest() for image in pixels])
    images = Images(pixels, chosen.labels.astype(np.int64), np.array(joined(len(pixels), pairs), np.int64))
    fewest = min(_groups(images, images.labels == label) for label in range(len(metadata.class_names)))
    share = min(_SHARE, _MOST_CALIBRATING / len(pixels))
    parts = fold(images.labels, images.groups, share, _SEED) if fewest > 1 else None
    kept, held = parts or (np.array([], np.int64),) * 2
    _check_enough(chosen.folder, images, images.only(kept), healthy)
    return Parted(images.only(held), images.only(kept), healthy)


def _check_enough(folder: Path, images: Images, judging: Images, healthy: int | None) -> None:
    """Refuse images of which so few can judge that a verdict would say nothing."""
    for what, label in (("", None), (" with a tumour", healthy)):
        given, judged = (_groups(part, part.labels != label) for part in (images, judging))
        if judged < MIN_GROUPS:
            needed = math.ceil(MIN_GROUPS / (1 - _SHARE))
            raise ConversionError(
                f"{folder}: too few images for --int8: they are of {given} patients{what} (an image whose patient "
                f"is not known counts as one, copies count once), which leaves {judged} to judge on, and {MIN_GROUPS} "
                f"are needed; give images of about {needed} patients{what} or more, some of each class"
            )


def _groups(images: Images, chosen: Any) -> int:
    return len(np.unique(images.groups[chosen]))


def _healthy(metadata: ModelMetadata) -> int | None:
    """The label of the class without tumour: as training wrote it, or by its usual names."""
    key = f"training.{HEALTHY_CLASS}"
    if HEALTHY_CLASS in metadata.training:
        named = metadata.training[HEALTHY_CLASS]
        if named is not None and named not in metadata.class_names:
            raise ConversionError(f"the description's {key} is none of the class_names; name one of them there")
        return None if named is None else metadata.class_names.index(named)
    usual = usually_healthy(metadata.class_names)
    if len(usual) > 1:
        raise ConversionError(
            f"{', '.join(usual)} may all be the class without tumour, whose predictions are tumours missed; name it in "
            f"the description, as {key}"
        )
    return metadata.class_names.index(usual[0]) if usual else None


def _patients(folder: Path, chosen: Labelled) -> list[Any]:
    """The patient of each image, or None: from a manifest in the folder that was given, or beside the classes."""
    for root in dict.fromkeys((folder, chosen.folder)):
        path = root / MANIFEST
        if path.exists():
            patients = _read(path)
            return [patients.get(image.relative_to(root).as_posix()) for image in chosen.paths]
    return [None] * len(chosen.paths)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return patients_of(json.loads(path.read_text(encoding="utf-8"))["images"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ConversionError(
            f"{path} is not a manifest of images, as python -m training.data writes it; repair or remove it"
        ) from None
