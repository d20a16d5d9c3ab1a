"""A folder of images whose subfolders are named for the classes: what an accuracy can be measured on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brain_tumor.image import SUFFIXES, ImageError
from brain_tumor.metadata import ImageSpec
from brain_tumor.preprocess import Preprocessor
from converter.errors import ConversionError

# Folders that split a data set; images that the model was not trained on come first.
_SPLITS = ("testing", "test", "validation", "valid", "val", "training", "train")
MAX_IMAGES = 128  # that alternatives are compared on


@dataclass(frozen=True)
class Labelled:
    """Labelled images.

    Attributes:
        folder: The folder whose subfolders are the classes.
        paths: The images.
        labels: Which class each is of, an index into the class names: (image,).
    """

    folder: Path
    paths: tuple[Path, ...]
    labels: NDArray[np.intp]

    @property
    def chance(self) -> float:
        """The accuracy of naming the most frequent class always."""
        return float(np.bincount(self.labels).max() / len(self.labels))


def images_in(folder: Path) -> list[Path]:
    """The images in a folder and its subfolders, in order."""
    return sorted(_some_images(folder))


def class_folders(folder: Path) -> list[Path]:
    """The subfolders with images, in the order in which Keras numbers classes; those of the test set where it has one.

    Fewer than two are no classes, and give none.
    """
    for root in _roots(folder):
        inside = [path for path in _subfolders(root) if next(_some_images(path), None)]
        classes = [path for path in inside if path.name.casefold() not in _SPLITS]
        if len(classes) > 1:
            return classes
    return []


def labelled(folders: Sequence[Path], class_names: Sequence[str], limit: int = MAX_IMAGES) -> Labelled | None:
    """Images of all classes, as many of each as there are, up to ``limit`` in all; None where a class has no folder.

    Args:
        folders: What ``class_folders`` returned.
        class_names: The model's classes. Case, spaces, underscores and hyphens make no difference.
        limit: The most images, spread evenly over the classes and over each class' folder.
    """
    by_name = {_plain(path.name): path for path in folders}
    if not all(_plain(name) in by_name for name in class_names):
        return None
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(class_names):
        images = images_in(by_name[_plain(name)])
        count = min(len(images), max(1, limit // len(class_names)))
        paths += [images[index * len(images) // count] for index in range(count)]
        labels += [label] * count
    return Labelled(folders[0].parent, tuple(paths), np.asarray(labels))


def prepared(spec: ImageSpec, paths: Sequence[Path]) -> NDArray[np.uint8]:
    """Images preprocessed as in the gateway: uint8 (image, height, width, 3).

    Raises:
        ConversionError: One cannot be used.
    """
    preprocessor, images = Preprocessor(spec), []
    for path in paths:
        try:
            images.append(preprocessor.from_bytes(path.read_bytes()))
        except (ImageError, OSError) as error:
            raise ConversionError(f"{path}: {error}") from None
    return np.concatenate(images)


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character not in " _-")


def _roots(folder: Path) -> Iterator[Path]:
    splits = {path.name.casefold(): path for path in _subfolders(folder)}
    yield from (splits[name] for name in _SPLITS if name in splits)
    yield folder


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _some_images(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
