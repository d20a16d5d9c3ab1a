"""The compressed bytes of one frame, out of pixel data in fragments (PS3.5, A.4).

A frame may have several fragments. A table of offsets can say which, but tables lie, so the fragments themselves count:
as many as frames are one each, and otherwise a frame begins where a fragment begins with the mark of its compression.
"""

from itertools import pairwise
from typing import Literal

from brain_tumor.image.dicom.structure import Element, Structure
from brain_tumor.image.errors import broken

_MARKS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")  # JPEG and JPEG-LS, JPEG 2000, the same in a file


def frame_bytes(structure: Structure, element: Element, frame: int, frames: int) -> bytes:
    """Join a frame's fragments.

    Args:
        structure: The file.
        element: Its pixel data.
        frame: From 1.
        frames: How many there should be.

    Raises:
        BrokenImage: The fragments do not make so many frames.
    """
    data = structure.data
    table, *fragments = [(start, end) for _, start, end in structure.items(element)] or [(0, 0)]
    if any(end > len(data) for _, end in fragments) or not fragments:
        raise broken()
    if frames == 1:
        firsts = [0]
    elif len(fragments) == frames:
        firsts = list(range(frames))
    else:
        firsts = [index for index, (start, _) in enumerate(fragments) if data.startswith(_MARKS, start)]
        if len(firsts) != frames:
            firsts = _by_table(structure, table, [start - 8 for start, _ in fragments])
    if len(firsts) != frames:
        raise broken()
    ends = [*firsts[1:], len(fragments)]
    return b"".join(data[start:end] for start, end in fragments[firsts[frame - 1] : ends[frame - 1]])


def _by_table(structure: Structure, table: tuple[int, int], heads: list[int]) -> list[int]:
    """The first fragment of each frame as the table of offsets has them; empty if it points at no fragment."""
    start, end = table
    order: Literal["little", "big"] = "little" if structure.is_little_endian else "big"
    index_of = {head - heads[0]: index for index, head in enumerate(heads)}
    offsets = [int.from_bytes(structure.data[at : at + 4], order) for at in range(start, end, 4)]
    firsts = [index_of.get(offset, -1) for offset in offsets]
    return firsts if firsts and firsts[0] == 0 and all(a < b for a, b in pairwise(firsts)) else []
