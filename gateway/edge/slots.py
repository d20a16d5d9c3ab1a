"""The kinds of slots: one for usual work, and fewer ones for what would keep the others waiting."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from wsgiref.types import WSGIEnvironment

from gateway.deadline import Deadline
from gateway.edge.admission import Admission, Overloaded, Slot, wait_for
from gateway.edge.line import name_of, share_of
from gateway.edge.messages import SLOT
from gateway.keys import Caller
from gateway.metrics import Metrics

REVIEW_SECONDS = 0.1  # between two looks at who still waits in vain
# How many requests may be away from their usual slot, at work or waiting, for each at work: each keeps a thread.
# Callers have their shares of these too.
_AWAY_PER_FETCH = 4
_AWAY_PER_HEAVY = 16
SHARE_OF_WORK = 1 / 2  # of the time of a response; the rest is for the wait
_HEAVY = 1  # heavy images at a time, so that they never have all decoders
_RETRY_AFTER_CROWD = 5  # seconds


class _Kind:
    """Work that takes another slot than the usual one."""

    def __init__(self, slots: int, away: int, waited: Callable[[float], object], began: Callable[[], object]) -> None:
        self.admission = Admission(slots, waited, began)
        self.threads = away * slots
        self._lock = threading.Lock()
        self._away: Counter[str] = Counter()  # by the callers' names

    @contextmanager
    def away(self, usual: Slot | None) -> Iterator[Caller | None]:
        """Give the usual slot back, and be one of those who are at work of this kind, or wait for it, in the block.

        Yields:
            Whose request it is.

        Raises:
            Overloaded: Too many are, of all or of this caller.
        """
        caller = usual.caller if usual else None
        name = name_of(caller)
        with self._lock:
            if self._away.total() >= self.threads or self._away[name] >= share_of(caller, self.threads):
                raise Overloaded(_RETRY_AFTER_CROWD)
            self._away[name] += 1
        try:
            if usual:
                usual.release(usual=False)
            yield caller
        finally:
            with self._lock:
                self._away[name] -= 1


class Slots:
    """The slots for work, and fewer ones for what would keep the others waiting: fetches by URL, and heavy images.

    Args:
        in_flight: Requests worked on at a time.
        fetches: Requests that fetch at a time.
        metrics: Takes how long requests wait.
    """

    def __init__(self, in_flight: int, fetches: int, metrics: Metrics) -> None:
        self.work = Admission(in_flight, metrics.waited("work"), self._began_waiting, SHARE_OF_WORK)
        self._fetches = _Kind(fetches, _AWAY_PER_FETCH, metrics.waited("fetch"), self._began_waiting)
        self._heavy = _Kind(_HEAVY, _AWAY_PER_HEAVY, metrics.waited("heavy"), self._began_waiting)
        self.threads = in_flight + self._fetches.threads + self._heavy.threads
        self._admissions = (self.work, self._fetches.admission, self._heavy.admission)
        self._loop = asyncio.get_running_loop()  # which looks after those who wait
        self._reviewing = False
        metrics.in_flight.set_function(lambda: sum(admission.running for admission in self._admissions))
        metrics.waiting.set_function(lambda: sum(admission.waiting for admission in self._admissions))

    @contextmanager
    def fetching(self, environ: WSGIEnvironment, deadline: Deadline) -> Iterator[None]:
        """Hold a slot for fetches during the block, and one for work before and after; errors as of ``heavy``."""
        usual: Slot | None = environ.get(SLOT)
        with self._fetches.away(usual) as caller:
            with self._fetches.admission.slot(deadline, caller):
                yield
            if usual:
                environ[SLOT] = wait_for(self.work.enter(deadline, caller), deadline)

    @contextmanager
    def heavy(self, environ: WSGIEnvironment, deadline: Deadline) -> Iterator[None]:
        """Hold a slot for heavy images during the block, in the place of the one for work.

        Raises:
            Overloaded: Too many wait already, of all or of this caller, or the deadline leaves no room.
            DeadlineExceeded: The deadline passed.
            ClientLeft: Nobody waits for the response.
        """
        with self._heavy.away(environ.get(SLOT)) as caller, self._heavy.admission.slot(deadline, caller):
            yield

    def _began_waiting(self) -> None:
        self._loop.call_soon_threadsafe(self._review_later)

    def _review_later(self) -> None:
        if not self._reviewing:
            self._reviewing = True
            self._loop.call_later(REVIEW_SECONDS, self._review)

    def _review(self) -> None:
        self._reviewing = False
        for admission in self._admissions:
            admission.review()
            if admission.waiting:
                self._review_later()
