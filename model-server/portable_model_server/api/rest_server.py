"""The HTTP server under REST: cheroot, with bounds on what clients that are slow or silent may hold.

A thread is for a client that sends a request or waits for its response. All other connections are watched by one
thread, which closes those that stay silent.
"""

import io
import logging
import select
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cheroot import wsgi
from cheroot.errors import MaxSizeExceeded
from cheroot.server import HTTPConnection

from portable_model_server.api import rest_responses

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_LOGGER = logging.getLogger(__name__)
# Seconds that a connection may stay silent, between requests or within one.
_SILENCE_S = 30
# Seconds in which the clients that call all the time learn, by a response, that their connections close.
_DRAIN_S = 0.5
# Connections without a request, and connections whose request waits for a thread: about 1000 together.
_IDLE_CONNECTIONS = 500
_WAITING_CONNECTIONS = 500
_BACKLOG = 1024  # connections that the system accepts ahead of the server
_HEADER_BYTES = 256 << 10
_BLOCK_BYTES = 64 << 10


class _Connection(HTTPConnection):
    """A connection that takes a thread only when there is a request to read."""

    _last_request = False

    def communicate(self) -> bool:
        """Handle the next request; return whether the connection stays open. The server calls this."""
        if not self._has_data():
            return bool(self.server.has_room)
        return bool(super().communicate())  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Close the connection; but a request that arrives while the server stops still gets its response."""
        if self.server.ready or self._last_request or not self._has_data():
            super().close()
        else:
            self._last_request = True
            self.server.process_conn(self)

    def _has_data(self) -> bool:
        if self.rfile.has_data():
            return True
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(0))


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
        self._draining = False

    @property
    def has_room(self) -> bool:
        """Whether one more connection without a request may stay open."""
        return bool(super().can_add_keepalive_connection)

    @property
    def can_add_keepalive_connection(self) -> bool:
        """Whether a connection stays open after its response; the server asks this."""
        return not self._draining and self.has_room

    def stop(self) -> None:
        """Close the port, each connection after its next response, then the idle ones; wait for what still runs."""
        self._draining = True
        # The port comes first: the server would go on to accept connections, and then cut some of them off.
        self.socket.close()
        time.sleep(_DRAIN_S)
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
        try:
            body = self._read(environ["wsgi.input"])
        except ValueError:  # malformed chunks
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
        try:
            while block := stream.read(_BLOCK_BYTES):
                if len(body) <= self._max_bytes:
                    body += block
        except (TimeoutError, ConnectionError):
            raise
        except (MaxSizeExceeded, OSError):  # how cheroot refuses chunks beyond its own limit
            return None
        return bytes(body) if len(body) <= self._max_bytes else None


def _error(status: str, start_response: "StartResponse") -> Iterable[bytes]:
    body = rest_responses.error(status[4:]).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
