"""Leaves the canary out for a while after repeated failures, and then tries it with one request."""

import threading
import time
from collections.abc import Callable

FAILURES = 3  # one after the other, until the canary is left out
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 30.0  # seconds; the pause doubles with each trial that fails


class Breaker:
    """Whether the canary may be asked; safe to share between threads.

    Whoever is let through says how that ended, by ``succeeded``, ``failed`` or ``undecided``.

    Args:
        changed: Is told each time that the canary is left out, or no longer: seconds until the next trial, or None.
        clock: Tells the time in seconds, from any moment on.
    """

    def __init__(self, changed: Callable[[float | None], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._changed = changed
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._pause = 0.0  # seconds; 0 while the canary is asked
        self._next_trial = 0.0
        self._trying = False

    def lets_through(self) -> bool:
        """Whether the canary may be asked now; after a pause, one at a time may."""
        with self._lock:
            if not self._pause:
                return True
            if self._trying or self._clock() < self._next_trial:
                return False
            self._trying = True
            return True

    def succeeded(self) -> None:
        """Note that the canary did what it was asked."""
        with self._lock:
            was_out = self._pause > 0
            self._failures, self._pause, self._trying = 0, 0.0, False
        if was_out:
            self._changed(None)

    def failed(self) -> None:
        """Note that it did not."""
        with self._lock:
            self._failures += 1
            # A request that began before the canary was left out says nothing new.
            if self._failures < FAILURES or (self._pause and not self._trying):
                return
            self._pause = min(2 * self._pause, LONGEST_PAUSE) or FIRST_PAUSE
            self._next_trial = self._clock() + self._pause
            self._trying = False
            pause = self._pause
        self._changed(pause)

    def undecided(self) -> None:
        """Note that whoever was let through learned nothing: its client has left, or its images were no use."""
        with self._lock:
            self._trying = False
