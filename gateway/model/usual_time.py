"""How long calls usually take, and from it how long one attempt is waited for before another replica is asked."""

import threading
from collections.abc import Hashable
from dataclasses import dataclass

from gateway.moving import moved

# Attempts are waited for at least this long: a pause of a healthy replica is shorter.
SHORTEST = 0.5  # seconds
# Before the first response the usual time is unknown. A model's first call may be slow.
UNKNOWN = 2.0  # seconds
_MEANS = 2
_DEVIATIONS = 4


@dataclass
class _Usual:
    mean: float  # seconds
    deviation: float  # seconds

    @property
    def patience(self) -> float:
        return max(SHORTEST, _MEANS * self.mean + _DEVIATIONS * self.deviation)


class UsualTimes:
    """The usual times of each kind of call, learned from its responses; safe to share between threads.

    A kind is what makes calls alike in time: what is asked for, and for how many images.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kinds: dict[Hashable, _Usual] = {}

    def add(self, kind: Hashable, seconds: float) -> None:
        """Learn from a response that took this long."""
        with self._lock:
            usual = self._kinds.get(kind)
            if usual is None:
                self._kinds[kind] = _Usual(seconds, seconds / 2)
                return
            # One pause must not count for many calls; where all calls have become slow, a few of them raise the limit.
            seconds = min(seconds, 2 * usual.patience)
            usual.mean, usual.deviation = moved(usual.mean, usual.deviation, seconds)

    def patience(self, kind: Hashable) -> float:
        """Seconds, well above the usual time, after which an attempt of this kind has probably met a hung replica."""
        usual = self._kinds.get(kind)
        return usual.patience if usual else UNKNOWN

    def mean(self, kind: Hashable) -> float:
        """The mean time of this kind in seconds; 0 before the first response."""
        usual = self._kinds.get(kind)
        return usual.mean if usual else 0.0
