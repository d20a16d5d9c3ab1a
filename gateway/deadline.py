"""Time limits: how long one response may take, and work that ends early because nobody waits for it any more."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

_LOOK_SECONDS = 0.1  # until one who waits for a lock notices that its own client has left


class Acquirable(Protocol):
    """A lock or a semaphore of ``threading``."""

    def acquire(self, *, timeout: float) -> bool:
        """Wait for at most so many seconds; whether it was got."""


class DeadlineExceeded(Exception):
    """The time for this response is over."""


class ClientLeft(Exception):
    """The client has closed its connection: nobody waits for this response."""


class Deadline:
    """A moment in the future until which a response is wanted; safe to share between threads.

    Args:
        seconds: Time limit, from now.
        clock: Tells the time in seconds, from any moment on.

    Attributes:
        seconds: The same.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds
        self._lock = threading.Lock()
        self._cancelled = False
        self._callbacks: list[Callable[[], object]] = []

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.left <= 0

    @property
    def left(self) -> float:
        """Seconds that are left; 0 or less when it has passed."""
        return self._end - self._clock()

    @property
    def cancelled(self) -> bool:
        """Whether the client has left."""
        return self._cancelled

    def remaining(self) -> float:
        """Seconds that are left, above 0, so that they can serve as a timeout.

        Raises:
            DeadlineExceeded: None are left.
            ClientLeft: Nobody waits for the response.
        """
        if self._cancelled:
            raise ClientLeft
        seconds = self.left
        if seconds <= 0:
            raise DeadlineExceeded
        return seconds

    def acquire(self, lock: Acquirable) -> None:
        """Wait for a lock or a permit that other requests hold; errors as of ``remaining``."""
        while not lock.acquire(timeout=min(self.remaining(), _LOOK_SECONDS)):
            pass

    def cancel(self) -> None:
        """Say that the client has left: what waits under this deadline is told."""
        with self._lock:
            self._cancelled = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    @contextmanager
    def on_cancel(self, callback: Callable[[], object]) -> Iterator[None]:
        """Call the callback, from any thread, if the client leaves while the block runs, or has left already."""
        with self._lock:
            left = self._cancelled
            if not left:
                self._callbacks.append(callback)
        if left:
            callback()
        try:
            yield
        finally:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)
