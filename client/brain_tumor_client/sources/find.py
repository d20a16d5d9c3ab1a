"""The files that a command names, lazily and always in the same order, whatever order the disk has."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from zlib import crc32

from brain_tumor_client.images import image_bytes
from brain_tumor_client.sources.item import Item, Source
from brain_tumor_client.sources.kinds import Kind, kind_of
from brain_tumor_client.sources.slices import Slices

_MAX_DEPTH = 64  # folders in folders
_NOT_AN_IMAGE = {"DICOMDIR"}  # a DICOM file that lists others


@dataclass(frozen=True)
class How:
    """How files become images.

    Attributes:
        slices: Which slices of a volume.
        every_frame: Whether each frame of a multi-frame DICOM file is sent, and not only the middle one.
        max_bytes: Of a file that is sent.
        shard: (i, n): only files of the i-th of n parts, from 0. All parts together hold each file once.
    """

    slices: Slices = field(default_factory=Slices)
    every_frame: bool = False
    max_bytes: int = 64 * 1024 * 1024
    shard: tuple[int, int] = (0, 1)


@dataclass
class Found:
    """Counts what the search has passed over."""

    others: int = 0
    unreadable_folders: int = 0


def sources(paths: Iterable[Path], how: How, found: Found) -> Iterator[Source]:
    """Find the images of files and folders.

    In a folder the files come before the folders in it, by name, and DICOM files last: those of one series together,
    by position. Hidden files, and files that are no images, are passed over; links to folders are not followed. A
    file that is named is sent whatever it is.

    Args:
        paths: Files and folders that exist.
        how: Says how files become images.
        found: Is counted up.
    """
    for folder, group in groupby(paths, key=lambda path: None if path.is_dir() else path.parent):
        if folder is None:
            for path in group:
                yield from _of_folder(path, how, found)
        else:  # files of one folder, as a shell lists them: some may be a series
            yield from _of_files(sorted(group), folder, how, found, named=True)


def shown(path: Path) -> str:
    """A path as it stands in the results: always valid Unicode."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _of_folder(top: Path, how: How, found: Found) -> Iterator[Source]:
    waiting = [(top, 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                listed = sorted((entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith("."))
        except OSError:
            found.unreadable_folders += 1
            continue
        files = (folder / name for name, is_folder in listed if not is_folder)
        yield from _of_files(files, folder, how, found)
        if depth < _MAX_DEPTH:
            waiting += [(folder / name, depth + 1) for name, is_folder in reversed(listed) if is_folder]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _of_files(files: Iterable[Path], folder: Path, how: How, found: Found, *, named: bool = False) -> Iterator[Source]:
    dicom = []
    for path in files:
        kind = kind_of(path) if path.name not in _NOT_AN_IMAGE or named else Kind.OTHER
        if kind is Kind.DICOM:
            dicom.append(path)
        elif kind is Kind.OTHER and not named:
            found.others += path.is_file()
        elif _is_in_shard(path, how):
            yield _source(path, kind, how)
    if dicom and _is_in_shard(folder, how):  # a series stays together
        yield from _of_dicom(dicom, folder, how)


# pydicom and nibabel are imported by those who have such files alone: that takes a third of the command's start.
def _of_dicom(paths: list[Path], folder: Path, how: How) -> Iterator[Source]:
    from brain_tumor_client.sources.dicom import dicom_items, series_of

    for file in series_of(paths, shown(folder)):
        path = shown(file.path)
        yield Source(path, partial(dicom_items, file, path, how.every_frame, how.max_bytes))


def _source(path: Path, kind: Kind, how: How) -> Source:
    if kind is Kind.VOLUME:
        from brain_tumor_client.sources.volume import volume_items

        return Source(shown(path), partial(volume_items, path, shown(path), how.slices))
    return Source(shown(path), partial(_one, path, how.max_bytes))


def _one(path: Path, max_bytes: int) -> Iterator[Item]:
    yield Item(shown(path), partial(image_bytes, path, max_bytes))


def _is_in_shard(path: Path, how: How) -> bool:
    index, count = how.shard
    return count == 1 or crc32(os.fsencode(path)) % count == index
