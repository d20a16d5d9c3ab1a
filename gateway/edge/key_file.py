"""The file of keys, which may change while the gateway runs."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from gateway.keys import Caller, KeysError, digest_of, read_keys

LOOK_SECONDS = 1.0  # between two looks at the file
MAX_BYTES = 1 << 20
_log = logging.getLogger(__name__)


class KeyFile:
    """The keys of a file.

    A file that cannot be read or used leaves the keys as they were, and so does one that is gone: whoever takes keys
    back writes a file without them.

    Args:
        path: The file.

    Attributes:
        callers: By the digests of their keys. Another file brings another mapping; none ever changes.

    Raises:
        KeysError: The file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._content = _read(path)
            self.callers: Mapping[str, Caller] = read_keys(self._content)
        except KeysError as error:
            raise KeysError(f"{path}: {error}") from None
        self._verdict = ""  # on that content: why it cannot be used, if it cannot
        self._fault = ""  # of the last look, which the log has told already
        self._watch: asyncio.Task[None] | None = None

    def find(self, key: str) -> Caller | None:
        """Who has this key; None if nobody has."""
        return self.callers.get(digest_of(key))

    def watch(self, seconds: float = LOOK_SECONDS) -> None:
        """From now on look at the file after each pause, in a thread of the running event loop, until ``close``."""
        self._watch = asyncio.get_running_loop().create_task(self._look_again_and_again(seconds))

    def close(self) -> None:
        """Look no more."""
        if self._watch:
            self._watch.cancel()

    def look(self) -> None:
        """Read the file; take over its keys where it has changed. The log says what is wrong with it, once."""
        try:
            content = _read(self._path)
        except KeysError as error:
            self._tell(str(error))
            return
        # Not by time and size: two changes within a tick of the clock may have the same.
        if content != self._content:
            self._verdict = self._take_over(content)
            self._content = content  # after that: whatever went wrong there will be tried again
        self._tell(self._verdict)

    def _take_over(self, content: bytes) -> str:
        """Take over the keys; return why that cannot be, if it cannot."""
        try:
            self.callers = read_keys(content)
        except KeysError as error:
            return str(error)
        _log.info("the keys were read again: %d", len(self.callers))
        return ""

    def _tell(self, fault: str) -> None:
        if fault and fault != self._fault:
            _log.error("the keys stay as they were, for %s cannot be used: %s", self._path, fault)
        elif self._fault and not fault:
            _log.info("the file of keys can be used again")
        self._fault = fault

    async def _look_again_and_again(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await asyncio.to_thread(self.look)
            except Exception as error:  # no memory, or no thread: the next look may have them
                self._tell(f"unexpected: {type(error).__name__}")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise KeysError(f"it cannot be read ({error.strerror})") from None
    if len(content) > MAX_BYTES:
        raise KeysError(f"it has more than {MAX_BYTES:,} bytes")
    return content
