"""What Prometheus knows of the gateways: how many requests each had at hand when it was scraped last."""

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.capacity.loop import Loop
from benchmarks.capacity.pods import Gateway

_TICK = 1.0  # second


class Scrapes:
    """Scrapes each gateway at moments of its own, as Prometheus does.

    Args:
        loop: The time.
        gateways: The pods that there are now.
        interval: Seconds between two scrapes of a pod.
        generator: Draws their moments.
    """

    def __init__(
        self, loop: Loop, gateways: Callable[[], Sequence[Gateway]], interval: float, generator: np.random.Generator
    ) -> None:
        self._loop = loop
        self._gateways = gateways
        self._interval = interval
        self._generator = generator
        self._due: dict[Gateway, float] = {}
        self._known: dict[Gateway, int] = {}
        loop.every(_TICK, 0.0, self._scrape)

    def at_hand(self) -> float | None:
        """Requests at work or waiting, of all gateways that were scraped and are still there; None if none is."""
        known = [self._known[gateway] for gateway in self._gateways() if gateway in self._known]
        return float(sum(known)) if known else None

    def _scrape(self) -> None:
        now = self._loop.now
        for gateway in self._gateways():
            due = self._due.setdefault(gateway, now + self._interval * float(self._generator.random()))
            if due <= now:
                self._due[gateway] = due + self._interval
                self._known[gateway] = gateway.at_hand
