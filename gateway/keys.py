"""Who may call: the keys of callers, of which a file has the SHA-256 digests."""

import hashlib
import math
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PREDICT, METRICS = SCOPES = ("predict", "metrics")  # what a key may be good for
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")  # it stands in logs and metrics; a key or a digest is longer
_NAME_RULE = "a name has up to 40 letters, digits, dots, _ and -, and begins with a letter or a digit"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_RANGES = {"rate": (0.001, 1_000_000), "burst": (1, 1_000_000), "share": (0.001, 1)}
_KEY_BYTES = 32  # of chance: so many that a fast hash is enough
_PLACE = re.compile(r"(?: \(at [^()]*\))?\Z")  # at the end of what tomllib says; the rest may repeat the file


class KeysError(ValueError):
    """A name or a file of keys that cannot be used; the message says what is wrong, and repeats no key or digest."""


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


def read_keys(content: bytes) -> Mapping[str, Caller]:
    """Read a file of keys, in TOML: a table for each caller.

    Returns:
        The callers by the digests of their keys, in hexadecimal.

    Raises:
        KeysError: The content is not as docs/keys.md says.
    """
    callers: dict[str, Caller] = {}
    for number, (name, table) in enumerate(_tables(content).items(), 1):
        if not _NAME.fullmatch(name):
            raise KeysError(f"entry {number} has a name that cannot be used: {_NAME_RULE}")
        if not isinstance(table, dict):
            raise KeysError(f'{name} must be a table: ["{name}"]')
        caller = _caller(name, {entry: value for entry, value in table.items() if entry != "sha256"})
        digests = table.get("sha256", [])
        if not isinstance(digests, list) or not all(isinstance(one, str) and _DIGEST.fullmatch(one) for one in digests):
            raise KeysError(f"[{name}] sha256 must be a list of texts of 64 hexadecimal digits in lower case")
        for digest in digests:
            if digest == digest_of(""):
                raise KeysError(f"[{name}] sha256 has the digest of an empty text, which is no key")
            if callers.setdefault(digest, caller) is not caller:
                raise KeysError(f"[{name}] and [{callers[digest].name}] have the same key")
    return callers


def new_caller(name: str) -> tuple[str, str]:
    """Make a key by chance.

    Returns:
        The key, and its caller's table for the file of keys.

    Raises:
        KeysError: The name cannot be used.
    """
    if not _NAME.fullmatch(name):
        raise KeysError(_NAME_RULE)
    key = secrets.token_urlsafe(_KEY_BYTES)
    return key, f'["{name}"]\nsha256 = ["{digest_of(key)}"]\n'


def digest_of(key: str) -> str:
    """The SHA-256 digest of a key, in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


def _tables(content: bytes) -> Mapping[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise KeysError("it is not UTF-8") from None
    except (ValueError, RecursionError) as error:  # also numbers and nesting that are too much for Python
        place = _PLACE.search(str(error))
        where = place.group() if place else ""
        raise KeysError(f"no valid TOML{where or ': too deep, or with too long a number'}") from None


def _caller(name: str, table: Mapping[str, Any]) -> Caller:
    values: dict[str, Any] = {}
    for entry, value in table.items():
        if entry in _RANGES:
            low, high = _RANGES[entry]
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise KeysError(f"[{name}] {entry} must be a number from {low} to {high:,}")
            values[entry] = float(value)
        elif entry == "scopes":
            if not isinstance(value, list) or not value or not all(scope in SCOPES for scope in value):
                raise KeysError(f"[{name}] scopes must be a list of some of {', '.join(SCOPES)}")
            values[entry] = frozenset(value)
        else:
            raise KeysError(
                f"[{name}] has something else than sha256, {', '.join(_RANGES)} and scopes. "
                "A name with a dot must stand in quotes."
            )
    if "rate" in values:
        values.setdefault("burst", max(1.0, values["rate"]))
    elif "burst" in values:
        raise KeysError(f"[{name}] burst means nothing without rate")
    return Caller(name, **values)
