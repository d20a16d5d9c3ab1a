"""How many predictions are worked on at a time; one more is refused at once, which keeps the others quick."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.metrics import Metrics


class Overloaded(Exception):
    """Every place is taken."""


class Admission:
    """A fixed number of places."""

    def __init__(self, places: int, metrics: Metrics) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._in_flight = metrics.in_flight

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place.

        Raises:
            Overloaded: there is none.
        """
        if not self._places.acquire(blocking=False):
            raise Overloaded
        try:
            with self._in_flight.track_inprogress():
                yield
        finally:
            self._places.release()
