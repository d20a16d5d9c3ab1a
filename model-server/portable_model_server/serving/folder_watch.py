"""Whether a version folder that failed to load has changed since: somebody may still be copying it."""

import os
from itertools import islice
from pathlib import Path

_MOST_ENTRIES = 10_000


class FolderWatch:
    """Watches one folder from now on. It reads names, sizes and times alone, of at most 10,000 entries."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._first = self._last = _content(folder)

    def changed(self) -> bool:
        """Whether the folder is not what it was at first."""
        return _content(self._folder) != self._first

    def settled(self) -> bool:
        """Whether the folder is not what it was at first, and is what it was at the call before: a copy has ended."""
        before, self._last = self._last, _content(self._folder)
        return self._first != before == self._last


def _content(folder: Path) -> frozenset[tuple[str, int, int]]:
    """The path, size in bytes and time of change in nanoseconds of what a folder holds; empty if it is gone."""
    content = set()
    entries = (Path(parent, name) for parent, folders, files in os.walk(folder) for name in (*folders, *files))
    for path in islice(entries, _MOST_ENTRIES):
        try:
            status = path.stat()
        except OSError:  # it was renamed or removed meanwhile
            continue
        content.add((str(path), status.st_size, status.st_mtime_ns))
    return frozenset(content)
