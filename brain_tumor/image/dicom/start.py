"""Recognises a DICOM file by its bytes, in the caller's own process and without pydicom.

A file has a preamble of 128 bytes and ``DICM`` (PS3.10, 7.1). Older programs and some archives leave both away: such a
file begins with its first element, of the group 2 or 8 (PS3.5, 7.1).
"""

import re
import struct

_PREAMBLE = 128
_MARK = b"DICM"
_FIRST_GROUPS = (2, 8)
_ELEMENTS = 2  # that must stand one behind the other
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
_SHORT = (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL")
_REPRESENTATIONS = frozenset((*_LONG, *_SHORT, b"SS", b"ST", b"TM", b"UI", b"UL", b"US"))
_SMALL = 2 << 20  # bytes
# Rows and Columns, (0028,0010) and (0028,0011): explicit and implicit, little endian.
_ROWS, _COLUMNS = (
    re.compile(rb"\x28\0%b\0(?:US\x02\0|\x02\0\0\0)(..)" % re.escape(number), re.DOTALL)
    for number in (b"\x10", b"\x11")
)


def has_dicom_mark(data: bytes) -> bool:
    """Whether a file has a DICOM file's preamble, whatever stands in it."""
    return data.startswith(_MARK, _PREAMBLE)


def is_data_set(data: bytes) -> bool:
    """Whether a file begins like a DICOM file without a preamble."""
    return any(_begins_in_order(data, order) for order in "<>")


def few_pixels(data: bytes) -> int | None:
    """How many pixels a frame of a small file has at most; None if the file is large, or hides it.

    It is not read element by element, which is for the process apart: what looks like Rows or Columns counts, the
    largest of several. The process gets no more memory than that takes, so that nothing is won by a lie.
    """
    if len(data) > _SMALL:
        return None
    rows, columns = (
        max((int.from_bytes(value, "little") for value in pattern.findall(data)), default=0)
        for pattern in (_ROWS, _COLUMNS)
    )
    return rows * columns or None


def _begins_in_order(data: bytes, order: str) -> bool:
    """Whether a data set begins here: elements in ascending order, each inside of the file."""
    position, last = 0, (0, 0)
    for _ in range(_ELEMENTS):
        if len(data) < position + 12:
            return False
        tag = struct.unpack_from(f"{order}HH", data, position)
        if tag[0] not in _FIRST_GROUPS or tag <= last:
            return False
        kind = data[position + 4 : position + 6]
        if kind in _LONG:
            length = struct.unpack_from(f"{order}I", data, position + 8)[0] + 12
        elif kind in _REPRESENTATIONS:
            length = struct.unpack_from(f"{order}H", data, position + 6)[0] + 8
        elif order == "<":  # big endian is always explicit
            length = struct.unpack_from("<I", data, position + 4)[0] + 8
        else:
            return False
        position, last = position + length, tag
    return position <= len(data)
