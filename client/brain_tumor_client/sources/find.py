"""The files that a command names, lazily and always in the same order, whatever order a disk has."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from zlib import crc32

from brain_tumor_client.errors import ImageUnusable
from brain_tumor_client.sources.bucket import Prefix
from brain_tumor_client.sources.item import Item, Source
from brain_tumor_client.sources.kinds import Kind, kind_of
from brain_tumor_client.sources.pages import count_pages
from brain_tumor_client.sources.slices import Slices
from brain_tumor_client.sources.stored import OnDisk, Stored, shown

_MAX_DEPTH = 64  # folders in folders
_NOT_AN_IMAGE = {"DICOMDIR"}  # a DICOM file that lists others


@dataclass(frozen=True)
class How:
    """How files become images.

    Attributes:
        slices: Which slices of a volume.
        every_frame: Whether each frame of a multi-frame DICOM file and each page of a TIFF is sent, and not only one.
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


def sources(places: Iterable[Path | Prefix], how: How, found: Found) -> Iterator[Source]:
    """Find the images of files, folders and buckets.

    In a folder the files come before the folders in it, by name, and DICOM files last: those of one series together,
    by position. Hidden files, and files that are no images, are passed over; links to folders are not followed. A
    file that is named is sent whatever it is. The objects of a bucket come in the order of their keys, DICOM files
    after all that is below their folder.

    Args:
        places: Files and folders that exist, and buckets.
        how: Says how files become images.
        found: Is counted up.

    Raises:
        PlaceUnreadable, ImageAway: A bucket cannot be listed, or not read now.
    """
    for folder, group in groupby(places, key=_folder_of):
        if folder is None:
            for place in group:
                yield from _of_bucket(place, how, found) if isinstance(place, Prefix) else _of_folder(place, how, found)
        else:  # files of one folder, as a shell lists them: some may be a series
            paths = sorted(place for place in group if isinstance(place, Path))
            yield from _of_files(map(OnDisk, paths), shown(folder), how, found, named=True)


def _folder_of(place: Path | Prefix) -> Path | None:
    """The folder of a file that is named; None for a folder or bucket."""
    return None if isinstance(place, Prefix) or place.is_dir() else place.parent


def _of_bucket(prefix: Prefix, how: How, found: Found) -> Iterator[Source]:
    if file := prefix.file():
        yield from _of_files([file], file.folder, how, found, named=True)
        return
    waiting: list[tuple[str, list[Stored]]] = []  # the folders around the last key, and their DICOM files so far
    for file in prefix.files():
        while waiting and not f"{file.folder}/".startswith(f"{waiting[-1][0]}/"):
            yield from _of_dicom(*waiting.pop(), how)
        kind = _kind(file, file.folder, how, found)
        if kind is Kind.DICOM:
            if not waiting or waiting[-1][0] != file.folder:
                waiting.append((file.folder, []))
            waiting[-1][1].append(file)
        elif kind:
            yield _source(file, kind, how)
    while waiting:
        yield from _of_dicom(*waiting.pop(), how)


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
        files = (OnDisk(folder / name) for name, is_folder in listed if not is_folder)
        yield from _of_files(files, shown(folder), how, found)
        if depth < _MAX_DEPTH:
            waiting += [(folder / name, depth + 1) for name, is_folder in reversed(listed) if is_folder]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _of_files(files: Iterable[Stored], folder: str, how: How, found: Found, *, named: bool = False) -> Iterator[Source]:
    dicom = []
    for file in files:
        kind = _kind(file, folder, how, found, named=named)
        if kind is Kind.DICOM:
            dicom.append(file)
        elif kind:
            yield _source(file, kind, how)
    yield from _of_dicom(folder, dicom, how)


def _kind(file: Stored, folder: str, how: How, found: Found, *, named: bool = False) -> Kind | None:
    """What a file is that this run classifies; None for any other. DICOM files go by their folder: a series stays."""
    alone, with_folder = _is_in_shard(file.shown, how), _is_in_shard(folder, how)
    if not alone and not with_folder:
        return None  # without opening it
    kind = kind_of(file) if file.name not in _NOT_AN_IMAGE or named else Kind.OTHER
    if kind is Kind.DICOM:
        return kind if with_folder else None
    if kind is Kind.OTHER and not named:
        found.others += alone and file.is_file
        return None
    return kind if alone else None


# pydicom and nibabel are imported by those who have such files alone: that takes a third of the command's start.
def _of_dicom(folder: str, files: list[Stored], how: How) -> Iterator[Source]:
    if not files:
        return
    from brain_tumor_client.sources.dicom import dicom_items, series_of

    for file in series_of(files, folder):
        yield Source(file.stored.shown, partial(dicom_items, file, how.every_frame, how.max_bytes))


def _source(file: Stored, kind: Kind, how: How) -> Source:
    return Source(file.shown, partial(_slices if kind is Kind.VOLUME else _pages, file, how))


def _slices(file: Stored, how: How) -> Iterator[Item]:
    from brain_tumor_client.sources.volume import volume_items

    try:
        with file.on_disk() as path:
            yield from volume_items(path, file.shown, how.slices)
    except ImageUnusable as error:
        yield Item(file.shown, partial(_refuse, error), volume=file.shown)


def _pages(file: Stored, how: How) -> Iterator[Item]:
    item = Item(file.shown, partial(file.content, how.max_bytes))
    count = count_pages(file) if how.every_frame else 1
    yield from item.frames(count) if count > 1 else [item]


def _refuse(error: ImageUnusable) -> bytes:
    raise error


def _is_in_shard(shown: str, how: How) -> bool:
    index, count = how.shard
    return count == 1 or crc32(shown.encode()) % count == index
