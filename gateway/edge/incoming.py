"""A request that is arriving: what is there of it, and the bounds that it must keep."""

import re
from http import HTTPStatus

import h11

from gateway.edge.head import Head, read_head
from gateway.edge.lanes import Lane, Route
from gateway.edge.messages import Problem, Request
from gateway.keys import Caller

MAX_HEAD_BYTES = 16 << 10  # of a request's line and headers
_MAX_HEAD_LINES = 100
_HEAD_END = b"\r\n\r\n"
_BARE_LINE_END = re.compile(rb"(?<!\r)\n")
# Each chunk of a body costs the event loop some work: this many are free, and more must hold so many bytes on average.
_FREE_CHUNKS = 256
_MIN_CHUNK_BYTES = 128


HEAD_TOO_LARGE = Problem(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    f"The URL and headers are larger than {MAX_HEAD_BYTES >> 10} KiB, or more than {_MAX_HEAD_LINES}. "
    "Send fewer headers, or shorter ones.",
)
MALFORMED = Problem(
    HTTPStatus.BAD_REQUEST, "The request is not valid HTTP, or ended early. Send a complete HTTP/1.1 request."
)


class Incoming:
    """One request, as far as it has arrived.

    Args:
        max_body: Largest size of a body, in bytes.
        root_path: The path below which clients find the service; it is taken off the request's.
    """

    def __init__(self, max_body: int, root_path: str = "") -> None:
        self._max_body = max_body
        self._root_path = root_path
        self._parts: list[bytes] = []
        self._received = 0  # bytes of the body
        self._chunks = 0  # of the body
        self.head: Head | None = None
        self.route: Route | None = None
        self.caller: Caller | None = None  # who sends it, where there are keys
        self.dropped = False  # the body is read, but not kept

    def begin(self, sent: h11.Request) -> Problem | None:
        """Take the headers; return why the request is refused, if it is."""
        self.head = read_head(sent, self._root_path)
        if sent.http_version not in (b"1.0", b"1.1"):
            return Problem(HTTPStatus.BAD_REQUEST, "This version of HTTP is not spoken here. Use HTTP/1.1.")
        if {b"content-length", b"transfer-encoding"} <= {name for name, _ in sent.headers}:
            # Whoever stands before this server may go by the other one, and take a body for a request (RFC 9112, 6.1).
            return Problem(HTTPStatus.BAD_REQUEST, "Send a Content-Length or a Transfer-Encoding, not both.")
        length = next((value for name, value in sent.headers if name == b"content-length"), b"0")
        return self._too_large() if int(length) > self._max_body else None

    @property
    def keeps_body(self) -> bool:
        """Whether the body goes into memory: only that of work does, or whoever has no key could fill it."""
        return not self.dropped and self.route is not None and self.route.lane is Lane.WORK

    def add(self, data: bytes) -> Problem | None:
        """Take a part of the body; return why the request is refused, if it is."""
        if self.keeps_body:
            self._parts.append(bytes(data))
        self._received += len(data)
        self._chunks += 1
        if self._received > self._max_body:
            return self._too_large()
        if self._chunks > _FREE_CHUNKS + self._received // _MIN_CHUNK_BYTES:
            return Problem(HTTPStatus.BAD_REQUEST, "The body comes in tiny chunks. Send it in larger ones.")
        return None

    def drop(self) -> None:
        """Keep nothing of the body."""
        self._parts = []
        self.dropped = True

    def request(self) -> Request:
        """The whole request, once its end is there."""
        assert self.head is not None and self.route is not None  # noqa: S101 - its end comes after its head
        return Request(self.head, b"".join(self._parts), self.route, self.caller)

    def _too_large(self) -> Problem:
        return Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The request is larger than {self._max_body:,} bytes. Send a smaller image, or fewer at a time.",
            reason="body_too_large",
        )


def look_at_head(received: bytes) -> Problem | None:
    """Why a request is refused before its headers are read, if it is.

    Lines that end without a carriage return are taken otherwise by others, and many short lines cost much time.

    Args:
        received: What has arrived, from the request's first byte on.
    """
    end = received.find(_HEAD_END)
    if (len(received) if end < 0 else end) > MAX_HEAD_BYTES:
        return HEAD_TOO_LARGE
    head = received if end < 0 else received[:end]
    if head.count(b"\n") > _MAX_HEAD_LINES:
        return HEAD_TOO_LARGE
    return MALFORMED if _BARE_LINE_END.search(head) else None


def malformed(error: h11.RemoteProtocolError) -> Problem:
    """Why a request is refused that h11 cannot read."""
    status = HTTPStatus(error.error_status_hint)
    if status is HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
        return HEAD_TOO_LARGE
    if status is HTTPStatus.NOT_IMPLEMENTED:
        # Not 501: what a client alone can cause must not look like a fault of the service.
        return Problem(
            HTTPStatus.BAD_REQUEST,
            "This transfer coding is not supported. Send the body with a Content-Length, or chunked.",
        )
    return Problem(status, MALFORMED.detail)
