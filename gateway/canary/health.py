"""What is known of the canary: whether it may be asked now, and how it failed."""

import logging
import math
import threading
import time

from gateway.canary.attempt import CanaryFailed, outcome_of
from gateway.canary.breaker import Breaker
from gateway.classify.classifier import CannotExplain
from gateway.classify.pixels import OtherSize
from gateway.deadline import DeadlineExceeded
from gateway.metrics.canary import ANSWERED, COMPARED, DROPPED, FAILED, MISMATCH, SKIPPED, SLOW
from gateway.model.responses import ModelServerProblem

# The part of the requests at work that may be with the canary at a time, where its share is no larger. A canary that
# hangs has no more of them until it is left out.
_PART_OF_REQUESTS = 1 / 2
_LOG_SECONDS = 60.0  # between two lines of the log about failures of one kind
_GOOD = (ANSWERED, COMPARED)
_NOTHING = ("", SKIPPED, DROPPED)  # the canary was not asked, or nothing came of it
_log = logging.getLogger(__name__)


class Health:
    """Lets requests through to the canary, and learns how they end; safe to share between threads.

    Args:
        requests: How many requests are worked on at a time.
    """

    def __init__(self, requests: int) -> None:
        self._requests = requests
        self._breaker = Breaker(_log_change)
        self._lock = threading.Lock()
        self._inside = 0  # requests
        self._logged: dict[str, float] = {}  # when the log last told of an outcome; monotonic seconds

    def enter(self, share: float) -> bool:
        """Let a client's request through, if there is room and the canary is not left out; ``leave`` follows then.

        Args:
            share: Percent of the requests that are to go to the canary.
        """
        most = math.ceil(max(_PART_OF_REQUESTS, share / 100) * self._requests)
        with self._lock:
            if self._inside >= most:
                return False
            self._inside += 1
        if self.lets_through():
            return True
        with self._lock:
            self._inside -= 1
        return False

    def leave(self, outcome: str) -> None:
        """Note how a client's request ended; the empty text is for one that says nothing."""
        with self._lock:
            self._inside -= 1
        self.ended(outcome)

    def lets_through(self) -> bool:
        """Whether work that no client waits for may go to the canary; ``ended`` follows if it may."""
        return self._breaker.lets_through()

    def ended(self, outcome: str) -> None:
        """Note how that ended."""
        if outcome in _GOOD:
            self._breaker.succeeded()
        elif outcome == MISMATCH or outcome in _NOTHING:  # which say nothing about the server
            self._breaker.undecided()
        else:
            self._breaker.failed()

    def outcome_of(self, error: Exception) -> str:
        """How an error of work with the canary is counted; the log tells why, now and then."""
        why = str(error)
        if isinstance(error, CanaryFailed):
            outcome = error.outcome
        elif isinstance(error, ModelServerProblem):
            outcome = outcome_of(error)
        elif isinstance(error, DeadlineExceeded):
            outcome, why = SLOW, "it took too long for all images together"
        elif isinstance(error, CannotExplain | OtherSize):
            outcome, why = MISMATCH, "it cannot do what the stable model can, or takes images of another size"
        else:
            outcome, why = FAILED, type(error).__name__
            _log.error("unexpected", exc_info=error)
        if outcome not in _NOTHING and self._is_news(outcome):
            _log.warning("the canary: %s: %s", outcome, why)
        return outcome

    def _is_news(self, outcome: str) -> bool:
        now = time.monotonic()
        with self._lock:
            last = self._logged.get(outcome)
            if last is not None and now - last < _LOG_SECONDS:
                return False
            self._logged[outcome] = now
            return True


def _log_change(pause: float | None) -> None:
    if pause is None:
        _log.info("the canary is asked again: it responds")
    else:
        _log.warning("the canary is left out for %g s", pause)
