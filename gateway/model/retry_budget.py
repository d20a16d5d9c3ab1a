"""How many calls may be repeated: a small share of all calls, so that repeating never multiplies the load."""

import threading

PER_CALL = 0.05  # one repetition for twenty calls
MOST = 5.0  # saved up, for the first second of a fault


class RetryBudget:
    """A bucket of tokens: each call earns a part of one, each repetition costs one. Safe to share between threads."""

    def __init__(self, per_call: float = PER_CALL, most: float = MOST) -> None:
        self._lock = threading.Lock()
        self._per_call = per_call
        self._most = most
        self._tokens = most

    def earn(self) -> None:
        """Count a call."""
        with self._lock:
            self._tokens = min(self._most, self._tokens + self._per_call)

    def take(self) -> bool:
        """Take a token if there is one."""
        with self._lock:
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def give_back(self) -> None:
        """Return a token that was not needed."""
        with self._lock:
            self._tokens = min(self._most, self._tokens + 1)
