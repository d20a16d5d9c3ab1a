"""What a run has done so far, on disk, so that a run that was killed goes on where it was.

One line of JSON for each image, appended when its response is there. A line that a kill has torn is cut off. An image
that failed is sent again by the next run, and its newer line counts. At the end the tables are made from the journal.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from brain_tumor_client.results.row import Row, row_of
from brain_tumor_client.sources.item import Key

try:
    import fcntl
except ImportError:  # Windows: who runs two commands with the same results there must not
    fcntl = None  # type: ignore[assignment]

_FORMAT = 1


class JournalError(Exception):
    """The journal cannot be continued. The message says what to do."""


class JournalTaken(JournalError):
    """Another process writes the journal, or has just finished it."""


@dataclass(frozen=True)
class Line:
    """One image: its row, the whole response without images, and its place among the images of its file."""

    row: Row
    response: Mapping[str, Any] | None
    ordinal: int = 0
    count: int = 0


class _Place(NamedTuple):
    offset: int
    path: str
    ordinal: int


class Journal:
    """An open journal, which no other process has open.

    Args:
        path: Where it is, or will be.
        options: What must be the same when a run goes on.
        anew: Whether to throw away what it holds.

    Attributes:
        classes: All classes of its rows, in the order in which they appeared.
        models: All models (name, version) of its rows.

    Raises:
        JournalTaken: Another process writes it.
        JournalError: It is damaged, or its run had other options.
        OSError: It cannot be written.
    """

    def __init__(self, path: Path, options: Mapping[str, Any], *, anew: bool = False) -> None:
        self.path = path
        self.classes: dict[str, None] = {}
        self.models: dict[tuple[str, int], None] = {}
        self._places: dict[Key, _Place] = {}
        self._classified: dict[str, int] = {}  # how many images of a file that has several
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")
        try:
            self._lock()
            if anew:
                self._file.truncate(0)
            self._read(dict(options))
        except BaseException:
            self._file.close()
            raise

    @property
    def images(self) -> int:
        """How many images it holds."""
        return len(self._places)

    def __contains__(self, key: Key) -> bool:
        """Whether this image has been classified."""
        return key in self._places

    def is_complete(self, path: str) -> bool:
        """Whether all images of this file have been classified, so that it need not be opened."""
        return path in self._places or self._classified.get(path) == 0

    def append(self, line: Line) -> None:
        """Add a line; it is with the operating system when this returns, and survives the end of the process."""
        offset = self._file.seek(0, os.SEEK_END)
        self._write(
            {"ordinal": line.ordinal, "count": line.count, "row": line.row.document(), "response": line.response}
        )
        self._index(line, offset, keep_failed=True)

    def lines(self, ranks: Mapping[str, int]) -> Iterator[Line]:
        """All lines that count, by the rank of their file and their place in it; files without rank come first."""
        places = sorted(self._places.values(), key=lambda place: place.offset)
        ranked = {place.path: -len(places) + number for number, place in reversed(list(enumerate(places)))} | dict(
            ranks
        )
        for place in sorted(places, key=lambda place: (ranked[place.path], place.ordinal)):
            self._file.seek(place.offset)
            yield _line(json.loads(self._file.readline()))

    def remove(self) -> None:
        """Delete it: its content is in the tables now."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Close it; it stays for the next run."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self) -> None:
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise JournalTaken("Another command writes these results. Wait for it, or choose other ones.") from None
            except OSError:
                return  # a file system without locks
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._file.fileno()), self.path.stat()):
                return
        raise JournalTaken("Another command has just written these results. Look at them, then run this again.")

    def _write(self, document: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(document, separators=(",", ":")).encode() + b"\n")
        self._file.flush()

    def _read(self, options: dict[str, Any]) -> None:
        self._file.seek(0)
        offset = 0
        for number, text in enumerate(self._file):
            if not text.endswith(b"\n"):
                break
            try:
                document = json.loads(text)
                if number == 0:
                    _check(document, options)
                else:
                    self._index(_line(document), offset, keep_failed=False)
            except (ValueError, KeyError, TypeError):
                raise JournalError(f"The journal is damaged in line {number + 1}. Begin anew with --restart.") from None
            offset += len(text)
        self._file.truncate(offset)
        if offset == 0:
            self._write({"journal": _FORMAT, "options": options})

    def _index(self, line: Line, offset: int, *, keep_failed: bool) -> None:
        row = line.row
        if row.class_name is None and not keep_failed:
            return
        if row.class_name is not None:
            self.classes.update(dict.fromkeys(row.probabilities))
            if row.model_name is not None and row.model_version is not None:
                self.models[row.model_name, row.model_version] = None
            if row.key != row.path and row.key not in self._places:
                # Counts down to 0, which is reached when all images of the file are here.
                self._classified[row.path] = self._classified.get(row.path, line.count) - 1
        self._places[row.key] = _Place(offset, row.path, line.ordinal)


def _check(header: Mapping[str, Any], options: dict[str, Any]) -> None:
    if header["journal"] != _FORMAT:
        raise JournalError("Another version of this program wrote the journal. Begin anew with --restart.")
    before = header["options"]
    changed = sorted(name for name in before.keys() | options.keys() if before.get(name) != options.get(name))
    if changed:
        raise JournalError(
            f"A run that was interrupted had other options ({', '.join(changed)}). "
            "Give the same ones to go on, or begin anew with --restart."
        )


def _line(document: Mapping[str, Any]) -> Line:
    return Line(row_of(document["row"]), document["response"], document["ordinal"], document["count"])
