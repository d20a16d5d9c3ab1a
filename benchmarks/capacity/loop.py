"""A loop of events in simulated time."""

import heapq
import itertools
import math
from collections.abc import Callable
from typing import Any


class Loop:
    """Calls what is due, in the order of time; at the same time, in the order in which it was asked for.

    Args:
        repeats: The moment after which nothing is repeated any more, so that the loop can end.

    Attributes:
        now: Seconds since the beginning.
    """

    def __init__(self, repeats: float = math.inf) -> None:
        self.now = 0.0
        self._repeats = repeats
        self._due: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._numbers = itertools.count()

    def clock(self) -> float:
        """The time, for who asks by a call."""
        return self.now

    def at(self, moment: float, call: Callable[..., object], *arguments: Any) -> None:
        """Call at this moment, or now if it has passed."""
        heapq.heappush(self._due, (max(moment, self.now), next(self._numbers), call, arguments))

    def every(self, interval: float, first: float, call: Callable[[], object]) -> None:
        """Call at ``first``, and again and again after it."""
        self.at(first, self._again, interval, call)

    def run(self, until: float) -> None:
        """Go on until this moment."""
        due = self._due
        while due and due[0][0] <= until:
            self.now, _, call, arguments = heapq.heappop(due)
            call(*arguments)
        self.now = until

    def _again(self, interval: float, call: Callable[[], object]) -> None:
        call()
        if self.now + interval <= self._repeats:
            self.at(self.now + interval, self._again, interval, call)
