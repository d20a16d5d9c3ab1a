"""How much callers have used of their rates: a bucket for each, which fills again at the rate."""

import math
import time
from collections.abc import Callable, Container

from gateway.keys import Caller


class Rates:
    """The requests that callers have left.

    Args:
        now: A clock that never goes back, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._left: dict[str, tuple[float, float]] = {}  # by the caller's name: so many requests, at that time

    def __len__(self) -> int:
        return len(self._left)

    def take(self, caller: Caller) -> float:
        """Take one request; if none is left, take nothing and return the seconds until there is one, else 0."""
        if math.isinf(caller.rate):
            return 0.0
        now = self._now()
        left, since = self._left.get(caller.name, (caller.burst, now))
        left = min(caller.burst, left + (now - since) * caller.rate)
        if left < 1:
            return (1 - left) / caller.rate
        self._left[caller.name] = left - 1, now
        return 0.0

    def keep(self, names: Container[str]) -> None:
        """Forget all callers but these."""
        self._left = {name: left for name, left in self._left.items() if name in names}
