"""Which images a folder holds, and what is wrong with a folder whose layout is none of the usual ones."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from brain_tumor.image import SUFFIXES
from training.data.errors import DataError
from training.layout import FOLDER_NAMES, SPLITS, TESTING, TRAINING, VALIDATION

MATLAB = ".mat"
_ZIP_OF_MATLAB = "braintumordatapublic"  # how the names of the ZIPs of figshare's set begin, in small letters
_LAYOUT = "it must hold Training/CLASS/IMAGE and Testing/CLASS/IMAGE, or CLASS/IMAGE alone"


@dataclass(frozen=True)
class Listing:
    """The images of a folder, none of which was opened.

    Attributes:
        folder: The folder that holds the folders of the splits, or those of the classes.
        classes: The name of each image's class folder, by the image's path relative to ``folder``.
        splits: Training or Testing for each image, by relative path; empty where there is no test folder.
    """

    folder: Path
    classes: dict[str, str]
    splits: dict[str, str]


def list_images(folder: Path) -> Listing:
    """List the images of a folder. Hidden files (.name) and other files are left out.

    The folder of the data set is the one named, or the only one in it that is a data set, as in an archive that was
    unpacked. It holds folders for the splits, in any of their usual spellings, or a folder for each class. The images
    of a validation folder belong to Training.

    Args:
        folder: The folder.

    Raises:
        DataError: A folder is missing, misnamed or one level off, or a class has no image.
    """
    if not folder.is_dir():
        reason = "a file; unpack it, and name the folder" if folder.exists() else "not there"
        raise DataError(f"there is no folder {folder}: it is {reason}")
    folder = _root(folder)
    found = _split_folders(folder)
    if not found:
        return Listing(folder, _images(folder, _class_folders(folder)), {})
    if TRAINING not in found:
        raise DataError(f"{folder} has no folder {TRAINING}: {_LAYOUT}")
    for path in found.values():
        _require_same_classes(found[TRAINING], path)
    class_folders = {name: _class_folders(path) for name, path in found.items()}
    images = {name: _images(folder, paths) for name, paths in class_folders.items()}
    classes = {file: class_name for part in images.values() for file, class_name in part.items()}
    if TESTING not in found:
        _require_no_other_split(folder, found, {path.name for path in class_folders[TRAINING]})
        return Listing(folder, classes, {})
    splits = {file: TESTING if name == TESTING else TRAINING for name, part in images.items() for file in part}
    return Listing(folder, classes, splits)


def name_of(folder: Path) -> str:
    """The name of a data set that has no manifest: its folder's name.

    In kagglehub's cache the folder's name is only the version, so the data set's own name is taken from the path.
    """
    *_, kind, _owner, name, versions, last = ("", "", "", "", *folder.resolve().parts)
    return f"Kaggle {name}, version {last}" if (kind, versions) == ("datasets", "versions") else last


def is_data_set(folder: Path) -> bool:
    """Whether a folder holds a split, or a class folder with an image."""
    found = _split_folders(folder)
    return any(split in found for split in SPLITS) or any(map(_image_files, _folders(folder)))


def visible(folder: Path) -> list[Path]:
    """What a folder holds, sorted, without hidden files and what macOS adds to a ZIP."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))


def matlab_files(folder: Path) -> Iterator[Path]:
    """The MATLAB files, and the ZIPs of them, of figshare's set, in a folder and in its folders."""
    for path in visible(folder):
        for file in visible(path) if path.is_dir() else [path]:
            suffix, name = file.suffix.lower(), file.name.casefold()
            if suffix == MATLAB or (suffix == ".zip" and name.startswith(_ZIP_OF_MATLAB)):
                yield file


def _root(folder: Path) -> Path:
    """The data set's folder: this one, or the only one in it."""
    above = folder.resolve().parent
    beside = {_meaning(path.name) for path in _folders(above)} - {None}
    if _meaning(folder.resolve().name) and len(beside) > 1 and not _split_folders(folder):
        raise DataError(f"{folder} is inside the data set: name the folder above it, {above}")
    if is_data_set(folder):
        return folder
    roots = [path for path in _folders(folder) if is_data_set(path)]
    if len(roots) == 1:
        return roots[0]
    if roots:
        raise DataError(f"{folder} is above several data sets: name {' or '.join(map(str, roots))}")
    if _image_files(folder):
        raise DataError(f"{folder} holds images, and no folder for each class: {_LAYOUT}")
    if any(matlab_files(folder)):
        raise DataError(f"{folder} holds MATLAB files: python -m training.data {folder} makes images of them")
    raise DataError(f"{folder} has no folder {TRAINING}, and no folder with images: {_LAYOUT}")


def _split_folders(folder: Path) -> dict[str, Path]:
    """The folders of Training, Testing and Validation, as far as they exist."""
    found: dict[str, Path] = {}
    for path in _folders(folder):
        meaning = _meaning(path.name)
        if meaning and found.setdefault(meaning, path) != path:
            raise DataError(f"{found[meaning]} and {path} may both be {meaning}: keep one")
    return found


def _meaning(name: str) -> str | None:
    """What a folder of this name holds: Training, Testing or Validation; None if it is no split's name."""
    return next((meaning for meaning, names in FOLDER_NAMES.items() if name.casefold() in names), None)


def _class_folders(folder: Path) -> list[Path]:
    found = _folders(folder)
    if len(found) < 2:
        raise DataError(f"{folder} must hold two or more class folders, not {len(found)}: {_LAYOUT}")
    return found


def _require_same_classes(first: Path, second: Path) -> None:
    classes = {folder: {path.name for path in _folders(folder)} for folder in (first, second)}
    for folder, other in ((first, second), (second, first)):
        lacks, has = sorted(classes[other] - classes[folder]), sorted(classes[folder] - classes[other])
        if lacks and has:
            raise DataError(f"{folder} has {', '.join(has)} where {other} has {', '.join(lacks)}: rename one")
        if lacks:
            raise DataError(f"{folder} has no class folder {', '.join(lacks)}, which {other.name} has")


def _require_no_other_split(folder: Path, found: dict[str, Path], class_names: set[str]) -> None:
    """Make sure that no folder beside Training is a test folder with an unusual name."""
    for path in _folders(folder):
        if path not in found.values() and class_names & {inner.name for inner in _folders(path)}:
            raise DataError(
                f"{path} has the class folders of {found[TRAINING]}: call it {TESTING} or {VALIDATION}, or move it away"
            )


def _images(folder: Path, class_folders: Iterable[Path]) -> dict[str, str]:
    """The class of each image, by the image's path relative to ``folder``."""
    classes: dict[str, str] = {}
    for class_folder in class_folders:
        images = _image_files(class_folder)
        if not images:
            nested = f"; if {class_folder} is a data set, name it or move it away" if _folders(class_folder) else ""
            raise DataError(f"{class_folder} has no image ({', '.join(sorted(SUFFIXES))}){nested}")
        classes |= {path.relative_to(folder).as_posix(): class_folder.name for path in images}
    return classes


def _folders(folder: Path) -> list[Path]:
    return [path for path in visible(folder) if path.is_dir()]


def _image_files(folder: Path) -> list[Path]:
    return [path for path in visible(folder) if path.suffix.lower() in SUFFIXES and not path.is_dir()]
