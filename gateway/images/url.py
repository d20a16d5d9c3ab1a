"""URLs as the gateway fetches them, taken apart once: what is checked is what is connected to."""

import ipaddress
import re
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote, urlsplit

MAX_URL_LENGTH = 8192  # characters; URLs that clouds sign have up to about 4,000
DEFAULT_PORTS = {"http": 80, "https": 443}
# Characters; names have up to 253. To convert thousands of some characters, as internationalized names need it, takes
# half a second.
_MAX_AUTHORITY = 300
_AUTHORITY_END = re.compile(r"[/?#]")
_NAME = re.compile(r"[a-z0-9._-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SAFE = "!#$%&'()*+,/:;=?@[]~"  # RFC 3986: left as the client wrote it, so that a signature still fits


class FetchError(Exception):
    """An image that cannot be fetched; the message tells the client why."""


class UrlRefused(FetchError):
    """A URL that the gateway does not fetch, by its text alone; the message tells the client why."""


@dataclass(frozen=True)
class HttpUrl:
    """A URL that may be fetched, if its address may be connected to.

    Attributes:
        scheme: ``http`` or ``https``.
        host: A name in ASCII, or an address without brackets.
        port: The port to connect to.
        target: Path and query, as they stand in a request.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port, as they stand in the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def text(self) -> str:
        """The whole URL."""
        return f"{self.scheme}://{self.authority}{self.target}"


def parse_url(text: str) -> HttpUrl:
    """Take a URL apart.

    Raises:
        UrlRefused: It is too long, not complete, not of http or https, or holds a user name.
    """
    if len(text) > MAX_URL_LENGTH:
        raise UrlRefused(f"The URL is longer than {MAX_URL_LENGTH:,} characters. Send the image itself.")
    text = text.strip(" ")
    authority = _AUTHORITY_END.split(text.partition("//")[2], maxsplit=1)[0]
    if _CONTROL.search(text) or len(authority) > _MAX_AUTHORITY:
        _refuse()
    try:
        parts = urlsplit(text)
        port = parts.port
        path, query = (quote(_LONE_PERCENT.sub("%25", part), safe=_SAFE) for part in (parts.path, parts.query))
    except ValueError:  # UnicodeEncodeError too
        _refuse()
    if parts.scheme not in DEFAULT_PORTS:
        _refuse()
    if "@" in parts.netloc:
        raise UrlRefused("The URL holds a user name or password. Use one without.")
    host = _host(parts.hostname or "", bracketed="[" in parts.netloc)
    target = (path or "/") + (f"?{query}" if query else "")
    return HttpUrl(parts.scheme, host, DEFAULT_PORTS[parts.scheme] if port is None else port, target)


def _host(host: str, bracketed: bool) -> str:
    try:
        if bracketed:
            ipaddress.IPv6Address(host)
            return host
        host = host.encode("idna").decode("ascii").lower()
    except ValueError:  # UnicodeError too
        _refuse()
    if not _NAME.fullmatch(host):
        _refuse()
    return host


def _refuse() -> NoReturn:
    raise UrlRefused("The URL must be a complete one that begins with http:// or https://, or a data URI.") from None
