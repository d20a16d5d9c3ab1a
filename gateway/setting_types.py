"""How the text of an environment variable becomes the value of a setting.

Each function here takes the text and returns the value, or raises ValueError with a message that says what the text
must be.
"""

import ipaddress
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAX_SECONDS = 600
_HOST = re.compile(r"[^\[\]:]+|\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]")
_URL_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(?::\d{1,5})?|https?://\[[0-9a-f:.]+\](?::\d{1,5})?")


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


def word(text: str) -> str:
    """A short word without blanks."""
    if not _WORD.fullmatch(text):
        raise ValueError("must be 1 to 64 letters, digits, dots, hyphens or underscores")
    return text


def optional_word(text: str) -> str:
    """A short word; an empty text is none."""
    return word(text) if text else ""


def address(text: str) -> str:
    """``host:port``, where an address of IPv6 is in brackets."""
    host, _, port = text.rpartition(":")
    if not _HOST.fullmatch(host) or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError("must be host:port, with an address of IPv6 in brackets: [::1]:9696")
    return text


def addresses(text: str) -> str:
    """``host:port``, or a gRPC target that lists addresses, such as ``ipv4:10.0.0.1:8500,10.0.0.2:8500``."""
    family, _, listed = text.partition(":")
    for part in listed.split(",") if family in ("ipv4", "ipv6") else [text]:
        address(part)
    return text


def optional_address(text: str) -> str:
    """``host:port``; an empty text is none."""
    return address(text) if text else ""


def optional_addresses(text: str) -> str:
    """As ``addresses``; an empty text is none."""
    return addresses(text) if text else ""


def origins(text: str) -> frozenset[str]:
    """Origins of web pages as browsers write them, separated by commas, or ``*`` for all; an empty text is none."""
    parts = frozenset(part.strip().rstrip("/") for part in text.split(",")) if text else frozenset()
    if not all(part == "*" or _ORIGIN.fullmatch(part) for part in parts):
        raise ValueError("must be * or origins such as https://example.org, separated by commas")
    return parts


def url_path(text: str) -> str:
    """The path of a URL without a slash at its end; an empty text, or a slash, is none."""
    path = text.rstrip("/")
    if path and not _URL_PATH.fullmatch(path):
        raise ValueError("must be a path such as /brain-tumor")
    return path


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


def future_file(text: str) -> Path | None:
    """The path of a file that may come later, or never; an empty text is none."""
    return Path(text) if text else None
