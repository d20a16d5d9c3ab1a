"""The HTTP server under REST: cheroot, with bounds on what clients that are slow or silent may hold.

A thread is for a client that sends a request or waits for its response. All other connections are watched by one
thread, which closes those that stay silent.
"""

import contextlib
import io
import logging
import math
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from cheroot import wsgi
from cheroot.errors import MaxSizeExceeded
from cheroot.server import ChunkedRFile, HTTPConnection, HTTPRequest, SizeCheckWrapper

from portable_model_server.api import rest_responses

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_LOGGER = logging.getLogger(__name__)
# Seconds that a connection may stay silent between requests, and that a client may take none of its response.
_SILENCE_S = 30
# Seconds in which a request must arrive, its headers and its body together.
_REQUEST_S = 30
# Seconds that a new connection has for its request when no more connections without one may stay open.
_NO_ROOM_S = 1
# Seconds in which the clients that call all the time learn, by a response, that their connections close.
_DRAIN_S = 0.5
_IDLE_CONNECTIONS = 1000  # connections without a request
_WAITING_CONNECTIONS = 500  # connections whose request waits for a thread
_BACKLOG = 1024  # connections that the system accepts ahead of the server
_HEADER_BYTES = 256 << 10
_BLOCK_BYTES = 64 << 10
# Bytes that the sizes of a body's chunks may take, beyond those that come with a larger body.
_CHUNK_SIZES_BYTES = 64 << 10


class _Socket(socket.socket):
    """A socket that can be read until a deadline."""

    deadline = math.inf

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0, /) -> int:
        """Receive bytes; the server's file object calls this.

        Raises:
            TimeoutError: None came before the deadline.
        """
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")  # the text by which cheroot knows it
        timeout_s = self.gettimeout()
        self.settimeout(min(left_s, _REQUEST_S))
        try:
            return super().recv_into(buffer, nbytes, flags)
        finally:
            self.settimeout(timeout_s)


class _Request(HTTPRequest):
    """A request whose end no client can hide from a proxy in front."""

    def read_request_headers(self) -> bool:
        """Read the headers, but for those with an underscore, which WSGI takes for a dash. The server calls this."""
        complete = bool(super().read_request_headers())  # type: ignore[no-untyped-call]
        self.inheaders = {name: value for name, value in self.inheaders.items() if b"_" not in name}
        return complete

    def send_headers(self) -> None:
        """Send the response's headers, and close the connection if the application says so. The server calls this."""
        if (b"Connection", b"close") in self.outheaders:
            self.close_connection = True
        super().send_headers()  # type: ignore[no-untyped-call]


class _Connection(HTTPConnection):
    """A connection that takes a thread only when there is a request to read."""

    RequestHandlerClass = _Request
    server: "RestServer"

    def __init__(self, server: "RestServer", sock: socket.socket, makefile: Callable[..., Any]) -> None:
        timeout_s = sock.gettimeout()
        own = _Socket(fileno=sock.detach())
        own.settimeout(timeout_s)
        super().__init__(server, own, makefile)

    def communicate(self) -> bool:
        """Handle the next request; return whether the connection stays open. The server calls this."""
        has_room = self.server.has_room
        if not self._has_data(0 if has_room else _NO_ROOM_S):
            return has_room
        self.socket.deadline = time.monotonic() + _REQUEST_S
        return bool(super().communicate())  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Close the connection; the server calls this.

        A request still gets its response if it is there when a server that stops closes its idle connections.
        """
        if threading.current_thread() is self.server.stopping_thread and self._has_data():
            self.server.process_conn(self)
        else:
            super().close()
            # What a client did not take is lost. Otherwise the writer tries once more when Python forgets it, and
            # Python 3.13 writes into the log that it cannot.
            with contextlib.suppress(OSError):
                self.wfile.close()

    def _has_data(self, timeout_s: float = 0) -> bool:
        """Whether there is something to read, or there is within the timeout."""
        if self.rfile.has_data():
            return True
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))


class RestServer(wsgi.Server):
    """An HTTP server for a WSGI application: ``prepare()`` opens the port, ``serve()`` runs until ``stop()``."""

    ConnectionClass = _Connection
    keep_alive_conn_limit = _IDLE_CONNECTIONS
    max_request_header_size = _HEADER_BYTES

    def __init__(self, host: str, port: int, app: "WSGIApplication", *, threads: int, max_body_bytes: int) -> None:
        super().__init__(
            (host, port),
            _WholeBodies(app, max_body_bytes),
            numthreads=threads,
            max=threads,
            request_queue_size=_BACKLOG,
            timeout=_SILENCE_S,
            accepted_queue_size=_WAITING_CONNECTIONS,
            accepted_queue_timeout=0,
        )
        # A body up to this size is read to its end and refused politely, a larger one is refused unread.
        self.max_request_body_size = 2 * max_body_bytes
        self.server_name = ""  # of the header "Server", which cheroot cannot leave out
        # The thread that runs ``stop``, which ends the workers only after it has closed the idle connections.
        self.stopping_thread: threading.Thread | None = None
        self._draining = False
        self._bind_error: OSError | None = None

    def prepare(self) -> None:
        """Open the port and start the threads.

        Raises:
            OSError: Nothing can listen at the address; ``strerror`` has the reason.
        """
        try:
            super().prepare()
        except OSError as error:
            raise self._bind_error or error from None

    def bind(self, *arguments: Any) -> Any:
        """Open the port; the server calls this, and keeps of an error no more than a long text."""
        try:
            return super().bind(*arguments)
        except OSError as error:
            self._bind_error = error
            raise

    @property
    def has_room(self) -> bool:
        """Whether one more connection without a request may stay open."""
        return bool(super().can_add_keepalive_connection)

    @property
    def can_add_keepalive_connection(self) -> bool:
        """Whether a connection stays open after its response; the server asks this."""
        return not self._draining and self.has_room

    def stop(self) -> None:
        """Close the port, each connection after its next response, then the idle ones; wait for what still runs.

        It waits for ``shutdown_timeout`` seconds, then it cuts off the requests that have not arrived as a whole.
        """
        if not self.ready:
            return  # stopped already
        self._draining = True
        # The port comes first: the server would go on to accept connections, and then cut some of them off.
        self.socket.close()
        time.sleep(min(_DRAIN_S, self.shutdown_timeout))
        self.stopping_thread = threading.current_thread()
        super().stop()

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """Log a message; the server calls this."""
        _LOGGER.log(level, "%s", msg, exc_info=traceback)


class _WholeBodies:
    """A WSGI application that calls another one only with a body that is complete and not too large."""

    def __init__(self, app: "WSGIApplication", max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Read the body and call the application, as WSGI demands.

        Raises:
            OSError: The client went away, or stayed silent for too long.
        """
        length = environ.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdigit()):
            return _error("400 Bad Request", start_response)
        if "HTTP_TRANSFER_ENCODING" in environ and not environ["wsgi.input_terminated"]:
            return _error("400 Bad Request", start_response)  # HTTP/1.0, where cheroot does not read chunks
        try:
            body = self._read(environ["wsgi.input"])
        except ValueError:  # malformed chunks or trailers
            return _error("400 Bad Request", start_response)
        if body is None:
            return _error("413 Request Entity Too Large", start_response)
        if len(body) < int(length) and not environ["wsgi.input_terminated"]:
            return _error("400 Bad Request", start_response)  # the client ended in the middle
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ["wsgi.input"] = io.BytesIO(body)
        return self._app(environ, start_response)

    def _read(self, stream: "io.BufferedIOBase") -> bytes | None:
        """The body; None if it is too large."""
        body = bytearray()
        if isinstance(stream, ChunkedRFile):  # it reads the line with a chunk's size whole
            stream.rfile = SizeCheckWrapper(stream.rfile, 2 * self._max_bytes + _CHUNK_SIZES_BYTES)
        try:
            while block := stream.read(_BLOCK_BYTES):
                if len(body) <= self._max_bytes:
                    body += block
            if isinstance(stream, ChunkedRFile):
                # What it leaves unread would be taken for the next request.
                for _ in stream.read_trailer_lines():  # type: ignore[attr-defined, func-returns-value]
                    pass
        except (TimeoutError, ConnectionError):
            raise
        except (MaxSizeExceeded, OSError):  # how cheroot refuses chunks beyond its own limit
            return None
        return bytes(body) if len(body) <= self._max_bytes else None


def _error(status: str, start_response: "StartResponse") -> Iterable[bytes]:
    """Respond with an error and close the connection, for nobody knows where the next request starts."""
    body = rest_responses.error(status[4:]).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close")]
    start_response(status, headers)
    return [body]
