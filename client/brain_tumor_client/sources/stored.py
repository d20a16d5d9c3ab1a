"""Where a file is stored. A file on a disk stands here, one in a bucket in ``bucket.py``; both are read in one way."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from brain_tumor_client.images import image_bytes


class Stored(Protocol):
    """A file that can be read."""

    @property
    def name(self) -> str:
        """Its name, without its folder."""

    @property
    def shown(self) -> str:
        """How it is called in the results: always valid Unicode."""

    @property
    def is_far(self) -> bool:
        """Whether to open it takes so long that its suffix, where it has one, must say what it is."""

    @property
    def is_file(self) -> bool:
        """Whether it is one: what a folder lists may be a pipe, or a link to nothing."""

    def open(self) -> BinaryIO:
        """Open it for the reading of its beginning.

        Raises:
            OSError: It cannot be read.
            ImageAway: It cannot be read now.
        """

    def content(self, max_bytes: int) -> bytes:
        """All its bytes.

        Raises:
            ImageUnusable: It cannot be read, is empty, or has more bytes.
        """

    def on_disk(self) -> AbstractContextManager[Path]:
        """A file on this machine's disk with the same content, for as long as the block runs.

        Raises:
            ImageUnusable: It cannot be brought here.
        """


@dataclass(frozen=True)
class OnDisk:
    """A file on a disk."""

    path: Path
    is_far = False

    @property
    def name(self) -> str:
        """Its name, without its folder."""
        return self.path.name

    @property
    def shown(self) -> str:
        """How it is called in the results."""
        return shown(self.path)

    @property
    def is_file(self) -> bool:
        """Whether it is a file, or a link to one."""
        return self.path.is_file()

    def open(self) -> BinaryIO:
        """Open it for the reading of its beginning."""
        return self.path.open("rb")

    def content(self, max_bytes: int) -> bytes:
        """All its bytes."""
        return image_bytes(self.path, max_bytes)

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """A file on this disk with the same content."""
        yield self.path


def shown(path: Path) -> str:
    """A path as it stands in the results: always valid Unicode."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
