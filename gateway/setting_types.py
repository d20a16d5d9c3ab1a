"""How the text of an environment variable becomes the value of a setting.

Each function here takes the text and returns the value, or raises ValueError with a message that says what the text
must be.
"""

import ipaddress
import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAX_SECONDS = 600


def integer(low: int, high: int) -> Callable[[str], int]:
    """A whole number from ``low`` to ``high``."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low:,} to {high:,}")
        return int(text)

    return parse


def seconds(text: str) -> float:
    """A duration above 0."""
    message = f"must be a number of seconds above 0, at most {_MAX_SECONDS}"
    try:
        value = float(text)
    except ValueError:
        raise ValueError(message) from None
    if not (math.isfinite(value) and 0 < value <= _MAX_SECONDS):
        raise ValueError(message)
    return value


def boolean(text: str) -> bool:
    """True or false, in any case."""
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def one_of(*choices: str) -> Callable[[str], str]:
    """One of the choices, in any case; the value is lower case."""

    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text.lower()

    return parse


def address(text: str) -> str:
    """``host:port``."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError("must be host:port")
    return text


def ports(text: str) -> frozenset[int]:
    """One or more ports, separated by commas."""
    try:
        return frozenset(integer(1, 65535)(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"{error}; several are separated by commas") from None


def networks(text: str) -> tuple[Network, ...]:
    """Networks in CIDR notation, separated by commas; an empty text is none."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",")) if text else ()


def file(text: str) -> Path | None:
    """The path of a file that exists; an empty text is none."""
    if not text:
        return None
    if not Path(text).is_file():
        raise ValueError("there is no such file")
    return Path(text)
