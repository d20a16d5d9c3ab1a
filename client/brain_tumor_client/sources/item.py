"""What is sent and becomes one row of the results."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

MAX_FRAMES = 4096  # of one file
Key = str  # identifies a row: the path, and which plane, slice or frame of that file


def key_of(path: str, plane: str | None, slice_: int | None, frame: int | None) -> Key:
    """The key of a row; for a file with one image it is the path itself, which costs no memory."""
    if slice_ is None and frame is None:
        return path
    return f"{path}\0{plane or ''}\0{'' if slice_ is None else slice_}\0{'' if frame is None else frame}"


@dataclass(frozen=True)
class Item:
    """One image.

    Attributes:
        path: The file as the user named it.
        load: Returns the bytes to send; it raises ImageUnusable where that is impossible. Called in a thread.
        volume: The NIfTI volume or DICOM series that the image is a part of: it gets a summary.
        plane: ``axial``, ``coronal`` or ``sagittal``, where it is known.
        slice: Which slice of a NIfTI volume, from 0, in canonical orientation.
        frame: Which frame of a multi-frame DICOM file, from 1; the service chooses if it is None.
        ordinal: Where the image stands among those of the same file, from 0.
        count: How many images of this file are sent.
        warnings: Sentences about how the file was read.
    """

    path: str
    load: Callable[[], bytes]
    volume: str | None = None
    plane: str | None = None
    slice: int | None = None
    frame: int | None = None
    ordinal: int = 0
    count: int = 1
    warnings: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        """What identifies the row of this image."""
        return key_of(self.path, self.plane, self.slice, self.frame)

    def frames(self, count: int) -> Iterator["Item"]:
        """One for each frame or page of the file, which is a volume of its own if it is no part of one."""
        for number in range(count):
            volume = self.volume or self.path
            yield replace(self, volume=volume, frame=number + 1, ordinal=number, count=count)


@dataclass(frozen=True)
class Source:
    """A file that may hold several images; it is read when ``items`` is called, in a thread."""

    path: str
    items: Callable[[], Iterator[Item]]
