"""A whole request as the WSGI application takes it, and a whole response as the edge sends it."""

import io
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias
from wsgiref.types import WSGIApplication, WSGIEnvironment

from gateway.edge.head import Head
from gateway.edge.lanes import Route
from gateway.keys import Caller

# What the application finds in a request's WSGI environment.
DEADLINE = "gateway.deadline"  # the Deadline of the response
SLOT = "gateway.slot"  # the Slot that the request holds while it is worked on
BARE_ROOT = "gateway.bare_root"  # whether the request is for the root path without a slash at its end
CALLER = "gateway.caller"  # the name of who sent the request; empty where nobody has a name
RECEIVED = "gateway.received"  # when the request was there, by time.perf_counter()
AFTER = "gateway.after"  # a list that takes what is to be done once the client has the response

# Routes, in logs and metrics, of requests that have none:
UNREAD = "unread"  # they were not wholly read
UNMATCHED = "unmatched"  # there is none at their path
_JOINED = {b"cookie": "; "}  # headers that may occur several times and are not joined by commas


@dataclass(frozen=True)
class Request:
    """A request whose body is there.

    Attributes:
        head: Method, target and headers.
        body: The whole body.
        route: The route that it takes.
        caller: Who sent it; None where nobody is asked for a key.
    """

    head: Head
    body: bytes
    route: Route
    caller: Caller | None = None

    def environ(self) -> WSGIEnvironment:
        """Make the environment of a WSGI call (PEP 3333)."""
        sent = self.head.sent
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": self.head.method,
            "SCRIPT_NAME": "",
            # Flask would redirect from an empty path, to a URL with the client's Host.
            "PATH_INFO": self.head.path or "/",
            "QUERY_STRING": self.head.query,
            "SERVER_NAME": "gateway",  # the Host header has the name that the client used
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": f"HTTP/{sent.http_version.decode('ascii')}",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(self.body),
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            BARE_ROOT: not self.head.path,
            CALLER: self.caller.name if self.caller else "",
        }
        for name, value in sent.headers:
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
        after: What is to be done once the client has it: quick, for the event loop does it.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    after: tuple[Callable[[], object], ...] = ()


class Problem(NamedTuple):
    """Why a request is refused before the application sees it.

    Attributes:
        status: Of the response.
        detail: What the client should do; None where it can do nothing.
        route: The route that the request would have taken.
        retry_after: With status 429 or 503, seconds after which to try again; None where nothing is known.
        caller: The name of who sent it; empty where nobody has a name.
        headers: Further headers of the response.
        reason: Why, in a word for metrics; empty: the name of the status says it.
    """

    status: HTTPStatus
    detail: str | None
    route: str = UNREAD
    retry_after: int | None = None
    caller: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    reason: str = ""


BUSY = Problem(HTTPStatus.SERVICE_UNAVAILABLE, "The service is busy. Try again shortly.", reason="overloaded")
NOT_FOUND = Problem(HTTPStatus.NOT_FOUND, "There is nothing at this path. GET / lists what there is.", route=UNMATCHED)
# Makes the response to a refused request, whose headers it gets if they could be read; logs and counts it.
Refuse: TypeAlias = Callable[[Problem, Head | None], Response]


def call(application: WSGIApplication, environ: WSGIEnvironment) -> Response:
    """Call a WSGI application and collect its response."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    after: list[Callable[[], object]] = []
    environ[AFTER] = after

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started[:] = [(status, headers)]

    parts: Iterable[bytes] = application(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        if close := getattr(parts, "close", None):
            close()
    ((status, headers),) = started
    response = Response(int(status[:3]), headers, body, tuple(after))
    after.clear()  # the environment and the request refer to each other, and so live on for a while
    return response
