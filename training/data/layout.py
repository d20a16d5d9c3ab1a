"""The layout of the Kaggle set, and what is wrong with a folder that almost has it."""

from pathlib import Path

from brain_tumor.image import SUFFIXES
from training.errors import TrainingError

TRAINING, TESTING = "Training", "Testing"
SPLITS = (TRAINING, TESTING)
_LAYOUT = "it must hold Training/CLASS/IMAGE and Testing/CLASS/IMAGE"


class DataError(TrainingError):
    """A data set that cannot be trained on; the message says what to change."""


def look(folder: Path) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """List what ``folder`` holds; no image is opened. What is hidden (.name) or no image is left out.

    Returns:
        the class names, sorted, and by split the images' paths relative to ``folder``, sorted.

    Raises:
        DataError: a folder is missing, misnamed or one level off, or a class has no image in a split.
    """
    if not folder.is_dir():
        what = "a file; unpack it, and name the folder" if folder.exists() else "not there"
        raise DataError(f"there is no folder {folder}: it is {what}")
    for split in SPLITS:
        if not _holds(folder, split):
            raise DataError(_without(folder, split))
    classes = {split: {path.name for path in _visible(folder / split) if path.is_dir()} for split in SPLITS}
    names = tuple(sorted(classes[TRAINING] | classes[TESTING]))
    for split, other in ((TRAINING, TESTING), (TESTING, TRAINING)):
        lacks, has = sorted(classes[other] - classes[split]), sorted(classes[split] - classes[other])
        if lacks and has:
            raise DataError(
                f"{folder / split} has {', '.join(has)} where {folder / other} has {', '.join(lacks)}: rename one"
            )
        if lacks:
            raise DataError(f"{folder / split} has no class folder {', '.join(lacks)}, which {other} has")
    if len(names) < 2:
        raise DataError(f"{folder / TRAINING} must hold two or more class folders, not {len(names)}: {_LAYOUT}")
    files = {split: tuple(_images(folder, split, names)) for split in SPLITS}
    return names, files


def name_of(folder: Path) -> str:
    """What a data set is called that no manifest names: by its folder, which in kagglehub's cache is a number."""
    *_, kind, _owner, name, versions, last = ("", "", "", "", *folder.resolve().parts)
    return f"Kaggle {name}, version {last}" if (kind, versions) == ("datasets", "versions") else last


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _holds(folder: Path, split: str) -> bool:
    """By the exact name, which a file system that ignores case would not tell."""
    return any(path.name == split and path.is_dir() for path in folder.iterdir())


def _images(folder: Path, split: str, names: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    for name in names:
        inside = folder / split / name
        images = [p for p in _visible(inside) if p.suffix.lower() in SUFFIXES and not p.is_dir()]
        if not images:
            raise DataError(f"{inside} has no image ({', '.join(sorted(SUFFIXES))})")
        found += [path.relative_to(folder).as_posix() for path in images]
    return sorted(found)


def _without(folder: Path, split: str) -> str:
    """Why there is no ``split``, if that can be told."""
    inside = [path for path in _visible(folder) if path.is_dir()]
    for path in inside:
        if path.name.casefold() == split.casefold():
            return f"{path} must be called {split}: rename it"
    above = folder.resolve().parent
    if all((above / each).is_dir() for each in SPLITS):
        return f"{folder} is inside the data set: name the folder above it, {above}"
    if roots := [path for path in inside if all(_holds(path, each) for each in SPLITS)]:
        return f"{folder} is above the data set: name {' or '.join(map(str, roots))}"
    return f"{folder} has no folder {split}: {_LAYOUT}"
