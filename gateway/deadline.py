"""Time limits: how long one response may take, and sockets that end when their time is over.

A socket's own timeout starts anew with every byte, so a peer that sends one byte a second would hold a thread
for ever; ``SocketDeadline`` bounds the whole exchange.
"""

import contextlib
import socket
import threading
import time
from types import TracebackType


class DeadlineExceeded(Exception):
    """The time for this response is over."""


class Deadline:
    """A moment in the future."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() >= self._end

    def remaining(self) -> float:
        """Seconds that are left, above 0, so that they can serve as a timeout.

        Raises:
            DeadlineExceeded: None are left.
        """
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise DeadlineExceeded
        return seconds


class SocketDeadline(Deadline):
    """A deadline that shuts the socket it watches, so that a thread which waits for its bytes goes on.

    Args:
        seconds: Time limit, from now; enter the context at once.
        how: Which direction to shut: ``socket.SHUT_RD`` or ``socket.SHUT_RDWR``.
    """

    def __init__(self, seconds: float, how: int) -> None:
        super().__init__(seconds)
        self._how = how
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._shut)
        self._timer.daemon = True

    def __enter__(self) -> "SocketDeadline":
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop watching."""
        self._timer.cancel()
        with self._lock:
            self._socket = None

    def watch(self, watched: socket.socket) -> None:
        """Watch this socket, and no longer the one before it."""
        with self._lock:
            self._socket = watched
        if self.passed:
            self._shut()

    def _shut(self) -> None:
        with self._lock:
            if self._socket is not None:
                # Not SSLSocket's own shutdown, which takes the TLS object from the thread that reads through it.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._socket, self._how)
