"""A client's connection that judges strictly: a response is complete, or it is none. It costs little CPU."""

import asyncio
from dataclasses import dataclass


class NoResponse(Exception):
    """A request was sent, and no complete response came: the message says what came instead."""


@dataclass(frozen=True)
class Response:
    """A complete response; the names of its headers are in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the server said that it closes the connection."""
        return self.headers.get(b"connection", b"").lower() == b"close"


class Connection(asyncio.Protocol):
    """A connection to the server; one request at a time.

    Attributes:
        ended: What ended the connection; empty while it is open.
    """

    def __init__(self) -> None:
        self.ended = ""
        self._received = bytearray()
        self._response: asyncio.Future[Response] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._look()

    def eof_received(self) -> None:
        self._look(at_end=True)

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = self.ended or (type(error).__name__ if error else "closed")
        self._look(at_end=True)
        if self._response and not self._response.done():
            got = "after a part of the response" if self._received else "without a byte of a response"
            self._response.set_exception(NoResponse(f"{self.ended} {got}"))

    @property
    def open(self) -> bool:
        """Whether a request can be sent: neither side has closed."""
        return not self.ended and not self._transport.is_closing()

    async def exchange(self, request: bytes, timeout: float) -> Response:
        """Send a request, and wait for its response.

        Raises:
            NoResponse: It did not come whole within ``timeout`` seconds.
        """
        self._received.clear()
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            response = await asyncio.wait_for(self._response, timeout)
        except TimeoutError:
            self.abort()
            raise NoResponse(f"nothing within {timeout:g} s") from None
        if response.closes:
            self.close()
        return response

    def close(self) -> None:
        self.ended = self.ended or "closed here"
        self._transport.close()

    def abort(self) -> None:
        self.ended = self.ended or "aborted here"
        self._transport.abort()

    def _look(self, at_end: bool = False) -> None:
        if self._response is None or self._response.done():
            return
        try:
            response = parse(self._received, at_end)
        except ValueError as error:
            self._response.set_exception(NoResponse(f"not HTTP: {error}"))
            return
        if response:
            self._response.set_result(response)


def parse(received: bytes | bytearray, at_end: bool = False) -> Response | None:
    """Take the first final response out of what was received; None where it is not complete.

    Args:
        received: All bytes since the request was sent.
        at_end: Whether the server has closed, which completes a response without a length.

    Raises:
        ValueError: This is not HTTP.
    """
    start = 0
    while True:
        end = received.find(b"\r\n\r\n", start)
        if end < 0:
            return None
        status_line, *lines = bytes(received[start:end]).split(b"\r\n")
        if not status_line.startswith(b"HTTP/1."):
            raise ValueError(status_line[:40])
        status, start = int(status_line[9:12]), end + 4
        if status >= 200:
            break
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    if b"chunked" in headers.get(b"transfer-encoding", b""):
        body = _chunks(received, start)
    elif b"content-length" in headers:
        length = int(headers[b"content-length"])
        body = bytes(received[start : start + length]) if len(received) >= start + length else None
    else:
        body = bytes(received[start:]) if at_end or status in (204, 304) else None
    return None if body is None else Response(status, headers, body)


def _chunks(received: bytes | bytearray, start: int) -> bytes | None:
    body = bytearray()
    while (end := received.find(b"\r\n", start)) >= 0:
        size = int(received[start:end].partition(b";")[0], 16)
        start = end + 2
        if len(received) < start + size + 2:
            return None
        if size == 0:
            return bytes(body)
        body += received[start : start + size]
        start += size + 2
    return None


async def connect(port: int, host: str = "127.0.0.1") -> Connection:
    """Open a connection.

    Raises:
        NoResponse: The server does not accept it within 15 s.
    """
    loop = asyncio.get_running_loop()
    try:
        _, connection = await asyncio.wait_for(loop.create_connection(Connection, host, port), 15)
    except (OSError, TimeoutError) as error:
        raise NoResponse(f"no connection: {type(error).__name__}") from None
    return connection
