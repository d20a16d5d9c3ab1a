"""What an archive is asked for, wherever it lies, and what the responses mean."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NoReturn, Protocol

from brain_tumor_client.errors import ModelAway, ModelChanged, ModelRefused, ModelUnusable


@dataclass(frozen=True)
class Rest:
    """An archive from one of its bytes to its end.

    Attributes:
        start: Which byte is the first one, from 0.
        etag: The strong ETag of the whole archive; empty if it has none.
        chunks: The bytes.
    """

    start: int
    etag: str
    chunks: Iterator[bytes]


class Remote(Protocol):
    """An archive that lies elsewhere."""

    @property
    def shown(self) -> str:
        """Where it lies, without credentials."""

    def rest(self, start: int, etag: str) -> AbstractContextManager[Rest]:
        """The archive from a byte on, for as long as the block runs.

        Args:
            start: How many bytes are here already.
            etag: The ETag that the archive had when they came.

        Raises:
            ModelAway: It cannot be read now.
            ModelChanged: It is not the same any more.
            ModelRefused: Only others may read it.
            ModelUnusable: There is none.
        """


def refuse(status: int, shown: str, credentials: str) -> NoReturn:
    """Say what a status means that is not the archive.

    Args:
        status: HTTP's.
        shown: Where the archive lies.
        credentials: What gives the right to read it, as a sentence.

    Raises:
        ModelAway: It cannot be read now.
        ModelChanged: It is not the same any more.
        ModelRefused: Only others may read it.
        ModelUnusable: There is none.
    """
    if status in (401, 403):
        raise ModelRefused(f"{shown} may not be read (status {status}). {credentials}")
    if status in (404, 410):
        raise ModelUnusable(f"There is nothing at {shown}. Check the address.")
    if status in (412, 416):
        raise ModelChanged(f"{shown} was replaced during the download.")
    if status in (408, 429) or status >= 500:
        raise ModelAway(f"{shown} cannot be read now (status {status}).")
    raise ModelUnusable(f"{shown} gives no archive, but status {status}. Check the address. {credentials}")
