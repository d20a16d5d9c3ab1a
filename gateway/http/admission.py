"""How many requests are worked on at a time; one more is refused at once, which keeps the others quick."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.metrics import Metrics


class Overloaded(Exception):
    """All slots are taken."""


class Admission:
    """A fixed number of slots; a request holds one while it is worked on."""

    def __init__(self, slots: int, metrics: Metrics) -> None:
        self._slots = threading.BoundedSemaphore(slots)
        self._in_flight = metrics.in_flight

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot.

        Raises:
            Overloaded: None is free.
        """
        if not self._slots.acquire(blocking=False):
            raise Overloaded
        try:
            with self._in_flight.track_inprogress():
                yield
        finally:
            self._slots.release()
