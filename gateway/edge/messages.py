"""A whole request as the WSGI application takes it, and a whole response as the edge sends it."""

import io
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIApplication, WSGIEnvironment

import h11

from gateway.keys import Caller

# What the application finds in a request's WSGI environment.
DEADLINE = "gateway.deadline"  # the Deadline of the response
SLOT = "gateway.slot"  # the Slot that the request holds while it is worked on
ADMIN = "gateway.admin"  # whether the request came to the port for probes and metrics
CALLER = "gateway.caller"  # the name of who sent the request; empty where nobody has a name
RECEIVED = "gateway.received"  # when the request was there, by time.perf_counter()

UNREAD = "unread"  # the route, in logs and metrics, of a request that was not wholly read
_JOINED = {b"cookie": "; "}  # headers that may occur several times and are not joined by commas


@dataclass(frozen=True)
class Request:
    """A request whose body is there.

    Attributes:
        head: Method, target and headers, as h11 read them.
        body: The whole body.
        caller: Who sent it; None where nobody is asked for a key.
        is_admin: Whether it came to the port for probes and metrics.
    """

    head: h11.Request
    body: bytes
    caller: Caller | None = None
    is_admin: bool = False

    @property
    def method(self) -> str:
        """The method in capitals, as the application would read it."""
        return self.head.method.decode("ascii").upper()

    def environ(self) -> WSGIEnvironment:
        """Make the environment of a WSGI call (PEP 3333)."""
        path, query = _split(self.head.target)
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "gateway",  # the Host header has the name that the client used
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": f"HTTP/{self.head.http_version.decode('ascii')}",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(self.body),
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            ADMIN: self.is_admin,
            CALLER: self.caller.name if self.caller else "",
        }
        for name, value in self.head.headers:
            # A name with "_" would pass for one with "-", which a proxy may have checked.
            if b"_" in name or name == b"transfer-encoding":
                continue
            key = name.decode("ascii").upper().replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = f"HTTP_{key}"
            text = value.decode("latin-1")
            environ[key] = f"{environ[key]}{_JOINED.get(name, ',')}{text}" if key in environ else text
        environ["CONTENT_LENGTH"] = str(len(self.body))
        return environ


@dataclass(frozen=True)
class Response:
    """A response whose body is there.

    Attributes:
        status: The status code.
        headers: Names and values; the body's length among them.
        body: The whole body.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Problem(NamedTuple):
    """Why a request is refused before the application sees it.

    Attributes:
        status: Of the response.
        detail: What the client should do; None where it can do nothing.
        route: The route that the request would have taken.
        retry_after: With status 429 or 503, seconds after which to try again; None where nothing is known.
        caller: The name of who sent it; empty where nobody has a name.
        headers: Further headers of the response.
    """

    status: HTTPStatus
    detail: str | None
    route: str = UNREAD
    retry_after: int | None = None
    caller: str = ""
    headers: tuple[tuple[str, str], ...] = ()


BUSY = Problem(HTTPStatus.SERVICE_UNAVAILABLE, "The service is busy. Try again shortly.")
# Makes the response to a refused request, whose headers it gets if they could be read; logs and counts it.
Refuse: TypeAlias = Callable[[Problem, h11.Request | None], Response]


def call(application: WSGIApplication, environ: WSGIEnvironment) -> Response:
    """Call a WSGI application and collect its response."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started[:] = [(status, headers)]

    parts: Iterable[bytes] = application(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        if close := getattr(parts, "close", None):
            close()
    ((status, headers),) = started
    return Response(int(status[:3]), headers, body)


def path_of(head: h11.Request) -> str:
    """The path of a request as WSGI has it (PEP 3333): bytes as latin-1, unquoted, and with one slash before it."""
    return _split(head.target)[0]


def _split(target: bytes) -> tuple[str, str]:
    """Path and query of a request target, which may be a whole URL (RFC 9112, 3.2.2)."""
    if not target.startswith(b"/") and b"://" in target:
        target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
    path, _, query = target.partition(b"?")
    # The application sees slashes before a path as one, so nobody else may see more.
    return "/" + unquote_to_bytes(path).decode("latin-1").lstrip("/"), query.decode("latin-1")
