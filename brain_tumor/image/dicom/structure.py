"""Where the elements of a DICOM file stand (PS3.5, 7), found without reading any value.

A library that reads a whole file makes an object of each element, and calls itself for each sequence in a sequence: a
file of some megabytes can then take minutes or end the process. Here nothing is made of what is not wanted.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from brain_tumor.image.errors import ImageTooLarge, broken, unsupported

TRANSFER_SYNTAX = 0x0002_0010
IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_PIXEL_DATA = 0x7FE0_0010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
_UNDEFINED = 0xFFFF_FFFF
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_PREAMBLE = 128
_MAX_ELEMENTS = 200_000  # a quarter of a second; an enhanced file of 2,000 frames has half of them
_MAX_DEPTH = 32  # sequences in sequences, of which usual files have four
_MAX_INFLATED = 128 << 20  # bytes


@dataclass(frozen=True)
class Element:
    """Where one element stands, in bytes from the beginning of the data.

    Attributes:
        head: Its tag.
        start: Its value.
        end: What follows its value; for one of undefined length its delimiter.
        is_undefined: Whether its length is undefined: its value is a list of items.
    """

    head: int
    start: int
    end: int
    is_undefined: bool


@dataclass(frozen=True)
class Structure:
    """A file's elements.

    Attributes:
        data: The file's bytes, inflated.
        transfer_syntax: How pixels are compressed, a UID.
        is_implicit: Whether elements do not say their value representation.
        is_little_endian: The order of bytes.
        elements: Those outside of any sequence, by tag; (0010,0020) is 0x0010_0020.
    """

    data: bytes
    transfer_syntax: str
    is_implicit: bool
    is_little_endian: bool
    elements: dict[int, Element]

    def items(self, element: Element) -> Iterator[tuple[int, int, int]]:
        """The items of a sequence, or the fragments of pixel data: head, start, end."""
        walk = _Walk(self.data, self.is_implicit, self.is_little_endian)
        position = element.start
        while position + 8 <= min(element.end, len(self.data)):
            tag, length, start = walk.head(position)
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM:
                raise broken()
            end = walk.end_of_undefined(start, in_item=True) - 8 if length == _UNDEFINED else start + length
            yield position, start, end
            position = end + 8 if length == _UNDEFINED else end


def read_structure(data: bytes) -> Structure:
    """Find a file's elements.

    Raises:
        BrokenImage: The elements contradict each other, or are far more than a file needs.
        ImageTooLarge: The file is deflated, and too large without that.
    """
    position = _PREAMBLE + 4 if data.startswith(b"DICM", _PREAMBLE) else 0
    meta: dict[int, Element] = {}
    for order in (True, False):  # the group 2 is little endian, but for files that break the rule
        if data[position : position + 2] == (b"\x02\0" if order else b"\0\x02"):
            is_implicit = not data[position + 4 : position + 6].isalpha()
            meta, position = _Walk(data, is_implicit, order).elements(position, group=2)
    found = meta.get(TRANSFER_SYNTAX)
    syntax = data[found.start : found.end].decode("ascii", "replace").strip("\0 ") if found else ""
    if syntax == _DEFLATED:
        data, position = _inflated(data, position), 0
        syntax = EXPLICIT
    is_implicit, is_little_endian = syntax == IMPLICIT, syntax != BIG_ENDIAN
    if not syntax or syntax in (IMPLICIT, EXPLICIT):  # which files also get wrong
        kind = data[position + 4 : position + 6]
        is_implicit = not (kind.isalpha() and kind.isupper())
        is_little_endian = bool(syntax) or is_implicit or data[position : position + 1] != b"\0"
        syntax = IMPLICIT if is_implicit else EXPLICIT if is_little_endian else BIG_ENDIAN
    elements, _ = _Walk(data, is_implicit, is_little_endian).elements(position)
    return Structure(data, syntax, is_implicit, is_little_endian, meta | elements)


def _inflated(data: bytes, position: int) -> bytes:
    packer = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = packer.decompress(memoryview(data)[position:], _MAX_INFLATED)
    except zlib.error:
        raise broken() from None
    if packer.unconsumed_tail:
        raise ImageTooLarge(
            f"The DICOM file is deflated, and has more than {_MAX_INFLATED >> 20} MiB without that. "
            "Send a file with fewer frames."
        )
    return inflated


class _Walk:
    """Goes from element to element."""

    def __init__(self, data: bytes, is_implicit: bool, is_little_endian: bool) -> None:
        order = "<" if is_little_endian else ">"
        self._data = data
        self._is_implicit = is_implicit
        self._tag = struct.Struct(f"{order}HH").unpack_from
        self._short = struct.Struct(f"{order}H").unpack_from
        self._long = struct.Struct(f"{order}I").unpack_from
        self._left = _MAX_ELEMENTS

    def elements(self, position: int, group: int | None = None) -> tuple[dict[int, Element], int]:
        """The elements from a position on, of one group or up to the pixel data; and where they end."""
        found: dict[int, Element] = {}
        while position + 8 <= len(self._data):
            tag, length, start = self.head(position)
            if (group is not None and tag >> 16 != group) or tag >> 16 == 0xFFFE:
                break
            if length != _UNDEFINED:
                following = end = start + length
            elif tag == _PIXEL_DATA:  # what follows is never wanted, and a fragment's length may lie
                following = end = len(self._data)
            else:
                following = self.end_of_undefined(start, in_item=False)
                end = following - 8
            found[tag] = Element(position, start, min(end, len(self._data)), length == _UNDEFINED)
            position = following
            if tag == _PIXEL_DATA:
                break
        return found, position

    def head(self, position: int) -> tuple[int, int, int]:
        """An element's tag, length, and where its value starts."""
        self._left -= 1
        if self._left < 0:
            raise unsupported(
                "a DICOM file of more elements than any image needs", "Export the image as a file of its own."
            )
        data = self._data
        if position + 8 > len(data):
            raise broken()
        group, number = self._tag(data, position)
        kind = data[position + 4 : position + 6]
        # Some programs write sequences without value representations in a file that has them.
        if self._is_implicit or group == 0xFFFE or not (kind.isalpha() and kind.isupper()):
            return group << 16 | number, self._long(data, position + 4)[0], position + 8
        if kind not in _LONG:
            return group << 16 | number, self._short(data, position + 6)[0], position + 8
        if position + 12 > len(data):
            raise broken()
        return group << 16 | number, self._long(data, position + 8)[0], position + 12

    def end_of_undefined(self, position: int, *, in_item: bool) -> int:
        """Where a sequence or an item of undefined length ends, behind its delimiter."""
        inside = [in_item]  # for each level whether it is an item, which holds elements; a sequence holds items
        while inside:
            tag, length, position = self.head(position)
            if tag in (_SEQUENCE_END, _ITEM_END):
                inside.pop()
            elif length != _UNDEFINED:
                position += length
            elif (tag == _ITEM) == inside[-1] or len(inside) > _MAX_DEPTH:
                raise broken()
            else:
                inside.append(tag == _ITEM)
        return position
