"""DICOM files of a folder: which belong to one series, in which order, and how many frames each has.

Only headers are read here: the service decodes the pixels. What identifies a series or a patient stays in this module.
"""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from pydicom.filereader import read_partial
from pydicom.tag import Tag

from brain_tumor_client.errors import ImageAway, ImageUnusable
from brain_tumor_client.sources.item import MAX_FRAMES, Item
from brain_tumor_client.sources.stored import Stored

_NAMES = ("SeriesInstanceUID", "ImagePositionPatient", "ImageOrientationPatient", "InstanceNumber", "NumberOfFrames")
_TAGS = tuple(Tag(name) for name in _NAMES)
_LAST_TAG = 0x00280008  # NumberOfFrames; tags stand in ascending order
_HEAD = 2048  # bytes that hold the file meta information
_DEFLATED = b"1.2.840.10008.1.2.1.99"  # a transfer syntax whose header might inflate without end
_ALONE = "The header is not readable here, so the file stands outside its series."
_DEFER = 4096  # bytes; longer values are left on the disk
_PLANES = ("sagittal", "coronal", "axial")  # by the axis that is normal to them: x, y, z
_SAME_DIRECTION = 0.99  # cosine; a localizer's slices have several directions, and no order by position
_OBLIQUE = 0.8  # cosine; farther from every axis there is no plane to name


@dataclass(frozen=True)
class DicomFile:
    """One file and its place.

    Attributes:
        series: What the series is called in the results, if it has several files.
        frames: How many frames the file says that it has.
    """

    stored: Stored
    series: str | None = None
    plane: str | None = None
    frames: int = 1
    warnings: tuple[str, ...] = ()


@dataclass
class _Header:
    stored: Stored
    uid: str = ""
    position: tuple[float, ...] = ()  # millimetres
    normal: tuple[float, ...] = ()
    number: int | None = None
    frames: int = 1
    warnings: tuple[str, ...] = field(default=())


def series_of(files: Iterable[Stored], folder: str) -> Iterator[DicomFile]:
    """Sort files: series by their first file's name, the files of one by position along the normal of its slices.

    Where positions are missing, equal or of several directions, instance numbers count, and then names.

    Args:
        files: Sorted by name.
        folder: What the names of the series begin with.
    """
    by_uid: dict[str, list[_Header]] = {}
    for number, file in enumerate(files):
        header = _read(file)
        by_uid.setdefault(header.uid or f"alone {number}", []).append(header)
    several = 0
    for headers in by_uid.values():
        several += len(headers) > 1
        name = f"{folder} (series {several})" if len(headers) > 1 else None
        for header in _sorted(headers):
            yield DicomFile(header.stored, name, _plane(header.normal), header.frames, header.warnings)


def dicom_items(file: DicomFile, every_frame: bool, max_bytes: int) -> Iterator[Item]:
    """The image of a file, or with ``every_frame`` one for each frame: that file is its own volume then."""
    path, load = file.stored.shown, partial(file.stored.content, max_bytes)
    item = Item(path, load, volume=file.series, plane=file.plane, warnings=file.warnings)
    if not every_frame or file.frames == 1:
        yield item
    elif not 1 < file.frames <= MAX_FRAMES:
        yield replace(item, load=partial(_refuse, f"The file says it has {file.frames} frames. It may be damaged."))
    else:
        yield from item.frames(file.frames)


def _refuse(detail: str) -> bytes:
    raise ImageUnusable(detail)


def _read(stored: Stored) -> _Header:
    try:
        with stored.open() as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's hold values of tags
            if _DEFLATED in file.read(_HEAD):
                return _Header(stored, warnings=(_ALONE,))
            file.seek(0)
            data = read_partial(
                file, lambda tag, vr, length: tag > _LAST_TAG, defer_size=_DEFER, force=True, specific_tags=[*_TAGS]
            )
            return _Header(
                stored,
                uid=str(data.get("SeriesInstanceUID", "")),
                position=_numbers(data.get("ImagePositionPatient"), 3),
                normal=_normal(_numbers(data.get("ImageOrientationPatient"), 6)),
                number=_whole(data.get("InstanceNumber")),
                frames=_whole(data.get("NumberOfFrames")) or 1,
            )
    except OSError:
        return _Header(stored)  # its row says why it cannot be read
    except ImageAway:
        raise
    except Exception:  # pydicom raises anything on damaged files; the service judges them
        return _Header(stored, warnings=(_ALONE,))


def _numbers(value: Any, count: int) -> tuple[float, ...]:
    """So many finite numbers, or none."""
    try:
        numbers = tuple(float(number) for number in value)
    except (TypeError, ValueError):
        return ()
    return numbers if len(numbers) == count and all(map(np.isfinite, numbers)) else ()


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _normal(orientation: tuple[float, ...]) -> tuple[float, ...]:
    if not orientation:
        return ()
    normal = np.cross(orientation[:3], orientation[3:])
    length = float(np.linalg.norm(normal))
    return tuple((normal / length).tolist()) if length > 0 else ()


def _sorted(headers: list[_Header]) -> list[_Header]:
    first = headers[0].normal
    along = [
        float(np.dot(header.position, first))
        if first and header.position and header.normal and np.dot(header.normal, first) > _SAME_DIRECTION
        else None
        for header in headers
    ]
    by_position = None not in along

    def place(entry: tuple[float | None, _Header]) -> tuple[float, bool, int, str]:
        distance, header = entry
        has_no_number = header.number is None
        return (
            (distance if by_position and distance is not None else 0.0),
            has_no_number,
            header.number or 0,
            header.stored.shown,
        )

    return [header for _, header in sorted(zip(along, headers, strict=True), key=place)]


def _plane(normal: tuple[float, ...]) -> str | None:
    if not normal:
        return None
    axis = int(np.argmax(np.abs(normal)))
    return _PLANES[axis] if abs(normal[axis]) >= _OBLIQUE else None
