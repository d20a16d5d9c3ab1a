"""The bytes behind a URL, safe against URLs that lead into our network (SSRF) and servers that send without end.

Each redirect is checked like the first URL, and the connection goes to the very address that was checked, so that
a name cannot change its meaning in between. Messages reveal nothing about networks: a name that does not exist,
a refused address and a closed port all have the same message.
"""

import contextlib
import logging
import socket
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urljoin, urlsplit

from requests import PreparedRequest, Request, Response
from requests.adapters import HTTPAdapter

from brain_tumor.image import FORMATS
from gateway import VERSION
from gateway.deadline import Deadline as SocketDeadline
from gateway.images.addresses import Resolver

# It logs hosts and paths, and a URL can identify a patient.
logging.getLogger("urllib3").setLevel(logging.CRITICAL + 1)

MAX_REDIRECTS = 3
MAX_URL_LENGTH = 2048  # characters
_CHUNK_BYTES = 64 << 10
_PORTS = {"http": 80, "https": 443}
_HEADERS = {
    "Accept": ", ".join(FORMATS.values()),
    "Accept-Encoding": "identity",
    "User-Agent": f"brain-tumor-gateway/{VERSION}",
    "Connection": "close",  # each redirect gets a connection of its own, with its own check
}


class FetchError(Exception):
    """An image that cannot be fetched; the message tells the client why."""


class UrlRefused(FetchError):
    """A URL that the gateway does not fetch, by its text alone."""


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
    """

    def __init__(
        self, resolver: Resolver, *, ports: frozenset[int], max_bytes: int, timeout: float, ca_file: Path | None = None
    ) -> None:
        self._resolver = resolver
        self._ports = ports
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._verify = str(ca_file) if ca_file else True

    def fetch(self, url: str, remaining: float) -> bytes:
        """Fetch the bytes behind a URL.

        Args:
            url: A complete URL.
            remaining: Seconds that are left for the request; the fetcher's own limit counts too.

        Raises:
            FetchError: There are none; the subclass says why.
        """
        with SocketDeadline(min(self._timeout, remaining), socket.SHUT_RDWR) as deadline:
            try:
                return self._follow(url, deadline)
            except FetchError as error:
                failure = error
            # Libraries raise many kinds here, their own and the system's, and their texts hold the URL.
            except Exception:
                failure = SourceUnreachable(
                    "No image could be fetched from the URL. Use one on a public address that returns an image."
                )
            if deadline.passed:
                failure = SourceTooSlow("The image's server took too long. Download the image and send it itself.")
        raise failure from None

    def _follow(self, url: str, deadline: SocketDeadline) -> bytes:
        # The adapter alone, without a session: it sends no cookies, takes no proxies or passwords from the environment,
        # and neither follows a redirect nor reads its body before the check.
        with contextlib.closing(_PinnedAdapter(self._resolver, deadline)) as adapter:
            for _ in range(MAX_REDIRECTS + 1):
                request = self._prepare(url)
                seconds = deadline.remaining()
                with adapter.send(request, stream=True, timeout=(seconds, seconds), verify=self._verify) as response:
                    if not response.is_redirect:
                        return self._read(response, deadline)
                    url = urljoin(str(request.url), response.headers["Location"])
        raise SourceUnreachable(f"The URL redirects more than {MAX_REDIRECTS} times. Use the image's own URL.")

    def _prepare(self, url: str) -> PreparedRequest:
        if len(url) > MAX_URL_LENGTH:
            raise UrlRefused(f"The URL is longer than {MAX_URL_LENGTH:,} characters.")
        try:
            request = Request("GET", url, headers=_HEADERS).prepare()
            parts = urlsplit(str(request.url))  # the parser that the adapter uses
            port = parts.port or _PORTS.get(parts.scheme)
        except Exception:
            _refuse()
        if parts.scheme not in _PORTS or not parts.hostname:
            _refuse()
        # requests takes a name and password out of the URL and into this header.
        if "@" in parts.netloc or "Authorization" in request.headers:
            raise UrlRefused("The URL holds a user name or password. Use one without.")
        if port not in self._ports:
            raise UrlRefused(f"The URL's port must be one of {', '.join(map(str, sorted(self._ports)))}.")
        return request

    def _read(self, response: Response, deadline: SocketDeadline) -> bytes:
        if response.status_code != 200:
            raise SourceUnreachable(f"The image's server responded with status {response.status_code}.")
        if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            # Never inflated: a few bytes can hold gigabytes.
            raise SourceUnreachable("The image's server sends it compressed. Download it and send it itself.")
        length = response.headers.get("Content-Length", "")
        if length.isdigit() and int(length) > self._max_bytes:
            self._refuse_size()
        data = bytearray()
        while chunk := response.raw.read(_CHUNK_BYTES, decode_content=False):
            data += chunk
            if len(data) > self._max_bytes:
                self._refuse_size()
        deadline.remaining()
        return bytes(data)

    def _refuse_size(self) -> NoReturn:
        raise SourceTooLarge(f"The image at the URL is larger than {self._max_bytes:,} bytes. Use a smaller one.")


class _PinnedAdapter(HTTPAdapter):
    """Connects to an address that the resolver permits, under the name that the URL gives."""

    def __init__(self, resolver: Resolver, deadline: SocketDeadline) -> None:
        super().__init__()
        self._resolver = resolver
        self._deadline = deadline

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """Put the address in the name's place; keep the name for the Host header, TLS's SNI and the certificate."""
        host_params: Any
        pool_kwargs: Any
        host_params, pool_kwargs = super().build_connection_pool_key_attributes(request, verify, cert)
        name, scheme = host_params["host"], host_params["scheme"]
        request.headers["Host"] = urlsplit(str(request.url)).netloc
        if scheme == "https":
            pool_kwargs |= {"assert_hostname": name, "server_hostname": name}
        port = host_params["port"] or _PORTS[scheme]
        address = self._resolver.resolve(name, port, self._deadline.remaining())
        host_params["host"] = f"[{address}]" if ":" in address else address
        return host_params, pool_kwargs

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Make a pool whose connections end with the deadline."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        deadline = self._deadline

        class Watched(pool.ConnectionCls):  # type: ignore[name-defined, misc]
            def connect(self) -> None:
                super().connect()
                deadline.watch(self.sock)

        pool.ConnectionCls = Watched
        return pool


def _refuse() -> NoReturn:
    raise UrlRefused("The URL must be a complete one that begins with http:// or https://.") from None
