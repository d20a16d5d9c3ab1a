"""Who may call: the keys of callers, as SHA-256 digests in a file that may change while the gateway runs."""

import hashlib
import logging
import math
import re
import secrets
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREDICT, METRICS = SCOPES = ("predict", "metrics")  # what a key may be good for
_LOOK_SECONDS = 1.0  # between two looks at the file
_MAX_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")  # it stands in logs and metrics
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEY_BYTES = 32  # of chance: so many that a fast hash is enough
_log = logging.getLogger(__name__)


class KeysError(ValueError):
    """A file of keys that cannot be used; the message says what is wrong, without a digest."""


@dataclass(frozen=True)
class Caller:
    """Who has a key, and what it is good for.

    Attributes:
        name: For logs and metrics.
        scopes: What it may do, some of ``SCOPES``.
        rate: Requests a second, on average.
        burst: Requests at a time that the rate allows after a pause.
        share: What part of the slots its requests may hold.
    """

    name: str
    scopes: frozenset[str] = frozenset((PREDICT,))
    rate: float = math.inf
    burst: float = math.inf
    share: float = 1.0


def read_keys(text: str) -> Mapping[str, Caller]:
    """Read a file of keys, in TOML: a table for each caller.

    Returns:
        The callers by the digests of their keys, in hexadecimal.

    Raises:
        KeysError: The text is not as docs/keys.md says.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise KeysError(f"no valid TOML: {error}") from None
    callers: dict[str, Caller] = {}
    for name, table in tables.items():
        if not _NAME.fullmatch(name) or not isinstance(table, dict):
            raise KeysError(f"[{name}] must be a table whose name has up to 40 letters, digits, dots, _ and -")
        caller = _caller(name, {key: value for key, value in table.items() if key != "sha256"})
        digests = table.get("sha256", [])
        if not isinstance(digests, list) or not all(isinstance(one, str) and _DIGEST.fullmatch(one) for one in digests):
            raise KeysError(f"[{name}] sha256 must be a list of texts of 64 hexadecimal digits in lower case")
        for digest in digests:
            if callers.setdefault(digest, caller) is not caller:
                raise KeysError(f"[{name}] and [{callers[digest].name}] have the same key")
    return callers


def new_key() -> tuple[str, str]:
    """Make a key by chance.

    Returns:
        The key, and its digest.
    """
    key = secrets.token_urlsafe(_KEY_BYTES)
    return key, digest_of(key)


def digest_of(key: str) -> str:
    """The SHA-256 digest of a key, in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


class KeyFile:
    """A file of keys, read again within about a second when it changes.

    What cannot be used is logged, and the keys stay as they were.

    Args:
        path: The file.

    Raises:
        KeysError: The file cannot be used at the start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = self._looked_at()
        self._callers = self._read()
        self._look_again = time.monotonic() + _LOOK_SECONDS

    def find(self, key: str) -> Caller | None:
        """Who has this key; None if nobody has."""
        if time.monotonic() >= self._look_again:
            self._refresh()
        return self._callers.get(digest_of(key))

    def _refresh(self) -> None:
        self._look_again = time.monotonic() + _LOOK_SECONDS
        try:
            if (state := self._looked_at()) == self._state:
                return
            self._state = state
            self._callers = self._read()
        except KeysError as error:
            _log.error("the keys stay as they were: %s", error)
        else:
            _log.info("the keys were read again: %d", len(self._callers))

    def _looked_at(self) -> tuple[int, int, int]:
        """What changes when the file does, also when Kubernetes puts another one in its place."""
        try:
            status = self._path.stat()
        except OSError:
            return 0, 0, 0
        return status.st_mtime_ns, status.st_ino, status.st_size

    def _read(self) -> Mapping[str, Caller]:
        try:
            with self._path.open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise KeysError(f"the file of keys cannot be read ({error.strerror})") from None
        if len(data) > _MAX_BYTES:
            raise KeysError(f"the file of keys has more than {_MAX_BYTES:,} bytes")
        try:
            return read_keys(data.decode())
        except UnicodeDecodeError:
            raise KeysError("the file of keys is not UTF-8") from None


def _caller(name: str, table: Mapping[str, Any]) -> Caller:
    values: dict[str, Any] = {}
    for key, value in table.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        match key:
            case "rate" if number and value > 0:
                values["rate"] = float(value)
            case "burst" if number and value >= 1:
                values["burst"] = float(value)
            case "share" if number and 0 < value <= 1:
                values["share"] = float(value)
            case "scopes" if isinstance(value, list) and value and all(scope in SCOPES for scope in value):
                values["scopes"] = frozenset(value)
            case _:
                raise KeysError(
                    f"[{name}] {key}: there are sha256, rate (above 0), burst (from 1), share (above 0, up to 1) and "
                    f"scopes (a list of {', '.join(SCOPES)})"
                )
    if "rate" in values:
        values.setdefault("burst", max(1.0, values["rate"]))
    return Caller(name, **values)
