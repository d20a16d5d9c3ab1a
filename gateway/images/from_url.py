"""The bytes behind a URL, safe against URLs that lead into our network (SSRF) and servers that send without end.

Each redirect is checked like the first URL, and the connection goes to the very address that was checked, so that
a name cannot change its meaning in between. Messages reveal nothing about networks: a name that does not exist,
a refused address and a closed port all have the same message.
"""

import functools
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from urllib.parse import urljoin

import certifi

from brain_tumor.image import FORMATS
from gateway import NAME, VERSION
from gateway.deadline import ClientLeft, Deadline, DeadlineExceeded
from gateway.images.addresses import LookupsBusy, Resolver
from gateway.images.exchange import Exchange, exchange
from gateway.images.url import FetchError, HttpUrl, UrlRefused, parse_url

MAX_REDIRECTS = 3
FETCHED = "fetched"
_REDIRECTS = (301, 302, 303, 307, 308)
_HEADERS = {
    "Accept": ", ".join(FORMATS.values()),
    "Accept-Encoding": "identity",
    "User-Agent": f"{NAME}/{VERSION}",
    "Connection": "close",  # each redirect gets a connection of its own, with its own check
}


class SourceUnreachable(FetchError):
    """No response from a permitted address, or one without an image in it."""


class SourceTooSlow(FetchError):
    """The server took too long."""


class SourceTooLarge(FetchError):
    """The server sends more bytes than the limit."""


class Fetcher:
    """Fetches images.

    Args:
        resolver: Decides which addresses may be connected to.
        ports: Ports that a URL may name.
        max_bytes: Largest size of one image.
        timeout: Seconds for one fetch, with its redirects.
        ca_file: Certificate authorities to trust instead of certifi's.
        count: Called with each fetch's outcome: ``FETCHED``, or the kind of the error that is raised.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        ports: frozenset[int],
        max_bytes: int,
        timeout: float,
        ca_file: Path | None = None,
        count: Callable[[str | type[Exception]], object] = lambda outcome: None,
    ) -> None:
        self._resolver = resolver
        self._ports = ports
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._tls = _tls_context(ca_file)
        self._count = count

    def fetch(self, url: str, deadline: Deadline, shares: int = 1) -> bytes:
        """Fetch the bytes behind a URL.

        Args:
            url: A complete URL.
            deadline: The request's; the fetcher's own time limit counts too.
            shares: Into how many parts the request's time is divided: this fetch may take one.

        Raises:
            FetchError: There are no bytes; the subclass says why.
            DeadlineExceeded: The deadline had passed before the fetch.
            ClientLeft: Nobody waits for it.
        """
        own = Deadline(min(self._timeout, deadline.remaining() / shares))
        with deadline.on_cancel(own.cancel):
            try:
                data = self._follow(url, own)
                self._count(FETCHED)
                return data
            except FetchError as error:
                failure: Exception = error
            except (DeadlineExceeded, TimeoutError):
                failure = SourceTooSlow("The image's server took too long. Download the image and send it itself.")
            except LookupsBusy:
                failure = SourceTooSlow(
                    "No further names can be looked up now. Try again later, or send the image itself."
                )
            # The libraries and the system raise many kinds here, and their texts hold the URL.
            except Exception:
                failure = SourceUnreachable(
                    "No image could be fetched from the URL. Use one on a public address that returns an image."
                )
        if deadline.cancelled:
            failure = ClientLeft()
        self._count(type(failure))
        raise failure from None

    def _follow(self, text: str, deadline: Deadline) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            url = self._checked(text)
            addresses = self._resolver.resolve(url.host, url.port, deadline)
            with exchange(url, addresses, _HEADERS, self._tls, deadline) as current:
                location = current.header("location")
                if current.response.status_code not in _REDIRECTS or not location:
                    return self._read(current)
            text = urljoin(url.text, location)
        raise SourceUnreachable(f"The URL redirects more than {MAX_REDIRECTS} times. Use the image's own URL.")

    def _checked(self, text: str) -> HttpUrl:
        url = parse_url(text)
        if url.port not in self._ports:
            raise UrlRefused(f"The URL's port must be one of {', '.join(map(str, sorted(self._ports)))}.")
        return url

    def _read(self, current: Exchange) -> bytes:
        status = current.response.status_code
        if status != 200:
            raise SourceUnreachable(
                f"The image's server responded with status {status}. Use a URL that returns the image to anybody."
            )
        if current.header("content-encoding").lower() not in ("", "identity"):
            # Never inflated: a few bytes can hold gigabytes.
            raise SourceUnreachable("The image's server sends it compressed. Download it and send it itself.")
        length = current.header("content-length")
        if length.isdigit() and int(length) > self._max_bytes:
            self._refuse_size()
        data = bytearray()
        for piece in current.body():
            data += piece
            if len(data) > self._max_bytes:
                self._refuse_size()
        return bytes(data)

    def _refuse_size(self) -> NoReturn:
        raise SourceTooLarge(f"The image at the URL is larger than {self._max_bytes:,} bytes. Use a smaller one.")


@functools.cache  # to read the authorities takes tens of milliseconds
def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file or certifi.where())
