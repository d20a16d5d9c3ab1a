"""Tables of a DICOM file that map numbers to others: modality LUT, VOI LUT and palettes (PS3.3, C.11.1.1)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from brain_tumor.image.dicom.contents import Contents, items, values

_BITS = range(1, 17)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        first: The number that the first entry is for; smaller ones get it too, and larger ones than all the last.
        entries: uint16.
        bits: Of an entry.
    """

    first: int
    entries: NDArray[np.uint16]
    bits: int

    def __call__(self, numbers: NDArray[Any]) -> NDArray[np.uint16]:
        """Look numbers up; parts of them count as the whole number below."""
        indices = np.clip(np.nan_to_num(np.floor(numbers - float(self.first))), 0, len(self.entries) - 1)
        return self.entries[indices.astype(np.int64)]


def read_table(contents: Contents, sequence: str, *, is_signed: bool) -> Table | None:
    """The first table of a sequence; None if there is none, or none that can be understood.

    Args:
        contents: The file.
        sequence: ModalityLUTSequence or VOILUTSequence.
        is_signed: Whether the numbers that are looked up may be negative.
    """
    for holder in contents.holders("FrameVOILUTSequence" if sequence == "VOILUTSequence" else ""):
        for item in items(holder, sequence)[:1]:
            return _table(contents, item, is_signed)
    return None


def _table(contents: Contents, item: Dataset, is_signed: bool) -> Table | None:
    order = "<" if contents.structure.is_little_endian else ">"
    descriptor, data = _numbers(item, "LUTDescriptor", order), _numbers(item, "LUTData", order)
    if len(descriptor) != 3 or not len(data) or descriptor[2] not in _BITS:
        return None
    count, first, bits = descriptor.tolist()
    count = count or 1 << 16
    if len(data) * 2 in (count, count + 1):  # two entries of 8 bits in each word
        data = data.astype(f"{order}u2").view(np.uint8).astype(np.uint16)
    if is_signed and first >= 1 << 15:
        first -= 1 << 16
    # Some files say 16 bits and have fewer; their brightest entry is white all the same.
    return Table(first, data[:count], max(bits, int(data[:count].max()).bit_length()))


def _numbers(item: Dataset, name: str, order: str) -> NDArray[np.uint16]:
    found = values(item, name)
    if found and isinstance(found[0], bytes):
        return np.frombuffer(found[0][: len(found[0]) // 2 * 2], f"{order}u2").astype(np.uint16)
    try:
        return np.array(found, np.int64).astype(np.uint16)
    except (ValueError, TypeError, OverflowError):
        return np.empty(0, np.uint16)
