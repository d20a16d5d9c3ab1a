"""Which requests go to the canary: the shares, the file that holds them, and the draw."""

import hashlib
import logging
import random
import threading
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

LOOK_SECONDS = 1.0  # between two looks at the file
MAX_BYTES = 1 << 16
_ALL = 100.0  # percent
_log = logging.getLogger(__name__)


class SharesError(ValueError):
    """A file of shares that cannot be used; the message says what is wrong with it."""


@dataclass(frozen=True)
class Shares:
    """How many requests the canary gets.

    Attributes:
        share: Percent of the requests that it answers.
        shadow: Percent of the other requests that it gets too, once their clients have their responses.
    """

    share: float = 0.0
    shadow: float = 0.0

    def is_canary_s_turn(self, routing_key: str) -> bool:
        """Whether the canary answers a request.

        Args:
            routing_key: Requests with the same text have the same answer while the share stays, and a larger share
                only adds to those that the canary gets. Without one, chance decides.
        """
        return (_place(routing_key) if routing_key else _drawn()) < self.share

    def is_shadowed(self) -> bool:
        """Whether the canary gets another request too."""
        return _drawn() < self.shadow


def read_shares(content: bytes) -> Shares:
    """Read a file of shares, in TOML: ``share`` and ``shadow``, numbers from 0 to 100.

    Raises:
        SharesError: It holds something else.
    """
    try:
        table = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and TOMLDecodeError are ValueErrors
        raise SharesError(f"no valid TOML: {error}") from None
    names = [field.name for field in fields(Shares)]
    for name, value in table.items():
        if name not in names:
            raise SharesError(f"it has something else than {' and '.join(names)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _ALL:
            raise SharesError(f"{name} must be a number of percent from 0 to 100")
    return Shares(**{name: float(value) for name, value in table.items()})


class ShareFile:
    """The shares in a file, which may come, change and go while the gateway runs.

    Without a file, or with one that cannot be used, the canary gets no requests: whoever changes a file in haste, to
    take a canary out, must not keep it in by a slip.

    It is looked at by who asks, no more than once a second: this takes no thread of its own. It is small, and read in
    the threads of requests, never in the event loop.

    Args:
        path: The file.
        clock: Tells the time in seconds, from any moment on.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looking = threading.Lock()
        self._shares = Shares()
        self._found: bytes | str | None = ""  # the content, why it cannot be read, or None: there is no file
        self._look()

    def shares(self) -> Shares:
        """What the file says now, or said a second ago."""
        # One looks; the others need not wait for the disk.
        if self._clock() - self._looked >= LOOK_SECONDS and self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looking.release()
        return self._shares

    def _look(self) -> None:
        self._looked = self._clock()
        found = _read(self._path)
        # Not by time and size: two changes within a tick of the clock may have the same.
        if found == self._found:
            return
        self._found = found
        self._shares = self._shares_of(found)

    def _shares_of(self, found: bytes | str | None) -> Shares:
        if found is None:
            _log.info("the canary gets no requests: there is no file %s", self._path)
            return Shares()
        try:
            if isinstance(found, str):
                raise SharesError(found)
            shares = read_shares(found)
        except SharesError as error:
            _log.error("the canary gets no requests: %s cannot be used: %s", self._path, error)
            return Shares()
        _log.info("the canary answers %g %% of the requests, and gets %g %% of the others too", *vars(shares).values())
        return shares


def _read(path: Path) -> bytes | str | None:
    """The content; None if there is no file; a text that says why it cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return content if len(content) <= MAX_BYTES else f"it has more than {MAX_BYTES:,} bytes"


def _place(routing_key: str) -> float:
    """Where a text has its place, 0 to 100, for all gateways and all times the same."""
    digest = hashlib.sha256(routing_key.encode()).digest()
    return _ALL * int.from_bytes(digest[:8], "big") / (1 << 64)


def _drawn() -> float:
    return _ALL * random.random()  # noqa: S311 - nothing secret
