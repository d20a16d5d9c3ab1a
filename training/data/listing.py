"""Which images a folder holds, and what is wrong with a folder that almost has the layout of the Kaggle set."""

from pathlib import Path

from brain_tumor.image import SUFFIXES
from training.data.errors import DataError
from training.layout import SPLITS, TESTING, TRAINING

_LAYOUT = "it must hold Training/CLASS/IMAGE and Testing/CLASS/IMAGE"


def list_images(folder: Path) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """List the images of a folder without opening them. Hidden files (.name) and other files are left out.

    Args:
        folder: The folder that holds Training and Testing.

    Returns:
        The class names, sorted; and the images' paths relative to ``folder``, by split, sorted.

    Raises:
        DataError: A folder is missing, misnamed or one level off, or a class has no image in a split.
    """
    if not folder.is_dir():
        reason = "a file; unpack it, and name the folder" if folder.exists() else "not there"
        raise DataError(f"there is no folder {folder}: it is {reason}")
    for split in SPLITS:
        if not _has_split(folder, split):
            raise DataError(_why_missing(folder, split))
    classes = {split: {path.name for path in _visible(folder / split) if path.is_dir()} for split in SPLITS}
    class_names = tuple(sorted(classes[TRAINING] | classes[TESTING]))
    for split, other in ((TRAINING, TESTING), (TESTING, TRAINING)):
        lacks, has = sorted(classes[other] - classes[split]), sorted(classes[split] - classes[other])
        if lacks and has:
            raise DataError(
                f"{folder / split} has {', '.join(has)} where {folder / other} has {', '.join(lacks)}: rename one"
            )
        if lacks:
            raise DataError(f"{folder / split} has no class folder {', '.join(lacks)}, which {other} has")
    if len(class_names) < 2:
        raise DataError(f"{folder / TRAINING} must hold two or more class folders, not {len(class_names)}: {_LAYOUT}")
    return class_names, {split: tuple(_images(folder, split, class_names)) for split in SPLITS}


def name_of(folder: Path) -> str:
    """The name of a data set that has no manifest: its folder's name.

    In kagglehub's cache the folder's name is only the version, so the data set's own name is taken from the path.
    """
    *_, kind, _owner, name, versions, last = ("", "", "", "", *folder.resolve().parts)
    return f"Kaggle {name}, version {last}" if (kind, versions) == ("datasets", "versions") else last


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _has_split(folder: Path, split: str) -> bool:
    """Whether the folder holds a split by its exact name; ``exists`` ignores case on some file systems."""
    return any(path.name == split and path.is_dir() for path in folder.iterdir())


def _images(folder: Path, split: str, class_names: tuple[str, ...]) -> list[str]:
    files: list[str] = []
    for name in class_names:
        class_folder = folder / split / name
        images = [path for path in _visible(class_folder) if path.suffix.lower() in SUFFIXES and not path.is_dir()]
        if not images:
            raise DataError(f"{class_folder} has no image ({', '.join(sorted(SUFFIXES))})")
        files += [path.relative_to(folder).as_posix() for path in images]
    return sorted(files)


def _why_missing(folder: Path, split: str) -> str:
    """A message that says why a folder has no such split, as far as its neighbours show it."""
    folders = [path for path in _visible(folder) if path.is_dir()]
    for path in folders:
        if path.name.casefold() == split.casefold():
            return f"{path} must be called {split}: rename it"
    above = folder.resolve().parent
    if all((above / name).is_dir() for name in SPLITS):
        return f"{folder} is inside the data set: name the folder above it, {above}"
    if roots := [path for path in folders if all(_has_split(path, name) for name in SPLITS)]:
        return f"{folder} is above the data set: name {' or '.join(map(str, roots))}"
    return f"{folder} has no folder {split}: {_LAYOUT}"
