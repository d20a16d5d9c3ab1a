"""What of a DICOM file is wanted, as a data set of pydicom: some dozen elements, the frame's own values, its pixels."""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from brain_tumor.image.dicom.structure import Structure
from brain_tumor.image.errors import NoSuchPage, broken, unsupported

PIXELS = (0x7FE0_0010, 0x7FE0_0008, 0x7FE0_0009)  # whole numbers, floats, doubles
_SHARED, _PER_FRAME = 0x5200_9229, 0x5200_9230  # functional groups (PS3.3, C.7.6.16)
_PIXELS_ELSEWHERE = 0x0028_7FE0
# PS3.6, 6. Nothing that names a person, an institution or a date.
_WANTED = (
    *(0x0008_0008, 0x0008_0016, 0x0008_0060, 0x0008_2218, 0x0018_0015),  # type, SOP class, modality, region, body part
    *(0x0028_0002, 0x0028_0004, 0x0028_0006, 0x0028_0008, 0x0028_0010, 0x0028_0011),  # samples, colours, frames, size
    *(0x0028_0100, 0x0028_0101, 0x0028_0102, 0x0028_0103),  # bits, signs
    *(0x0028_0120, 0x0028_0121, 0x0028_0122, 0x0028_0123, 0x0028_0124, 0x0028_0125),  # padding
    *(0x0028_1050, 0x0028_1051, 0x0028_1052, 0x0028_1053, 0x0028_1056),  # window, rescale
    *(0x0028_1101, 0x0028_1102, 0x0028_1103, 0x0028_1201, 0x0028_1202, 0x0028_1203),  # palette
    *(0x0028_1221, 0x0028_1222, 0x0028_1223, 0x0028_3000, 0x0028_3010),  # segmented palette, modality LUT, VOI LUT
    _SHARED,
)
_SEQUENCES = (0x0008_2218, 0x0028_3000, 0x0028_3010, _SHARED)
_MAX_BYTES = 1 << 20  # of all of them; a table of 65,536 entries has 128 KiB
_MAX_IN_SEQUENCES = 320 << 10  # bytes: items of 16 bytes each take pydicom half a second


@dataclass(frozen=True)
class Contents:
    """What a file says of one frame.

    Attributes:
        structure: Where the pixels stand.
        data_set: The wanted elements, without pixels.
        frame: The frame's number, from 1.
        frames: How many there are.
        own: The functional groups of this frame alone, and those of all frames.
    """

    structure: Structure
    data_set: Dataset
    frame: int
    frames: int
    own: Sequence[Dataset]

    def group(self, name: str) -> Dataset | None:
        """The frame's values of a functional group, or those that all frames share; None if there are none."""
        return next((item for groups in self.own for item in items(groups, name)), None)

    def holders(self, name: str) -> list[Dataset]:
        """Where values that a functional group may have can stand: in the group, or in the file's data set."""
        group = self.group(name)
        return [self.data_set] if group is None else [group, self.data_set]


def read_contents(structure: Structure, frame: int | None) -> Contents:
    """Read what is wanted.

    Args:
        structure: Where everything stands.
        frame: The frame's number, from 1; None is the middle one.

    Raises:
        NoSuchPage: There is no such frame.
        UnknownImageType: An element is far larger than any image needs, or the pixels are not in the file.
        BrokenImage: Elements are damaged.
    """
    picked = [structure.elements[tag] for tag in _WANTED if tag in structure.elements]
    picked.sort(key=lambda element: element.head)
    spans = [(element.head, element.end + 8 if element.is_undefined else element.end) for element in picked]
    sequences = [structure.elements[tag] for tag in _SEQUENCES if tag in structure.elements]
    _require_few(sum(element.end - element.start for element in sequences), _MAX_IN_SEQUENCES)
    _require_few(sum(end - start for start, end in spans), _MAX_BYTES)
    data_set = _data_set(structure, spans)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = UID(structure.transfer_syntax)
    frames = max(1, whole_number(data_set, "NumberOfFrames") or 1)
    if frame is not None and frame > frames:
        count = f"{frames} frames" if frames > 1 else "one frame"
        raise NoSuchPage(f"The DICOM file has {count}: there is no frame {frame}.")
    frame = frame or frames // 2 + 1
    if not any(tag in structure.elements for tag in PIXELS) and _PIXELS_ELSEWHERE in structure.elements:
        raise unsupported("a DICOM file whose pixels are on a server", "Send the file with its pixels.")
    own = [_frame_groups(structure, frame), *items(data_set, "SharedFunctionalGroupsSequence")[:1]]
    return Contents(structure, data_set, frame, frames, [groups for groups in own if groups is not None])


def items(holder: Dataset, name: str) -> list[Dataset]:
    """The items of a sequence; none if there is no such sequence."""
    value = holder.get(name)
    return list(value) if value and isinstance(value[0], Dataset) else []


def values(holder: Dataset, name: str) -> list[Any]:
    """An element's values; none if it is missing, empty or unreadable."""
    try:
        value = holder.get(name)
    except (ValueError, TypeError, OverflowError):
        return []
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]


def text(holder: Dataset, name: str) -> str:
    """An element's first value as text in capital letters."""
    return next((str(value).strip().upper() for value in values(holder, name)), "")


def number(holder: Dataset, name: str) -> float | None:
    """An element's first value as a number; None if it is none, or not finite."""
    try:
        value = float(values(holder, name)[0])
    except (IndexError, ValueError, TypeError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def whole_number(holder: Dataset, name: str) -> int | None:
    """An element's first value as a whole number; an element that has no value representation is read as bytes."""
    found = values(holder, name)
    if found and isinstance(found[0], bytes):
        return int.from_bytes(found[0][:2], "little" if holder.is_little_endian is not False else "big")
    value = number(holder, name)
    return None if value is None else int(value)


def _data_set(structure: Structure, spans: Sequence[tuple[int, int]]) -> Dataset:
    stream = io.BytesIO(b"".join(structure.data[start:end] for start, end in spans))
    try:
        return read_dataset(stream, structure.is_implicit, structure.is_little_endian)
    except Exception:  # whatever pydicom finds no words for
        raise broken() from None


def _frame_groups(structure: Structure, frame: int) -> Dataset | None:
    """The functional groups of one frame, without those of all the others being read."""
    element = structure.elements.get(_PER_FRAME)
    if element is None:
        return None
    spans: Iterator[tuple[int, int]] = ((start, end) for _, start, end in structure.items(element))
    span = next((span for index, span in enumerate(spans, 1) if index == frame), None)
    if span is None:
        return None
    _require_few(span[1] - span[0], _MAX_IN_SEQUENCES)
    return _data_set(structure, [span])


def _require_few(count: int, most: int) -> None:
    """Refuse more bytes than pydicom reads in short time."""
    if count > most:
        raise unsupported("a DICOM file with larger elements than any image needs", "Export the image anew.")
