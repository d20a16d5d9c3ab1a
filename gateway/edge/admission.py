"""Slots for work, and who waits for one: first come first served, as long as it can still help.

Under overload a request that is served too late is worse than one that is refused at once: its client has gone, and its
work delays the others. So the time that work usually takes is learned, and who cannot have a response before its
deadline is told so as soon as that is known.
"""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from functools import partial

from gateway.deadline import ClientLeft, Deadline
from gateway.edge.held_times import HeldTimes
from gateway.edge.line import Line, name_of, share_of
from gateway.edge.queues import Queues, Waiter
from gateway.keys import Caller


class Overloaded(Exception):
    """No slot will be free in time.

    Args:
        retry_after: Whole seconds after which the queue will probably have room.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"no slot in time; again in {retry_after} s")
        self.retry_after = retry_after


class Slot:
    """The right to work; given back at the end of the block, or by ``release``."""

    def __init__(self, admission: "Admission", held: int, longest: float, caller: Caller | None) -> None:
        self._admission = admission
        self.caller = caller  # whose share it counts in
        self.held = held  # how many slots were taken with this one
        self.longest = longest  # seconds that it should be held at most
        self.started = admission.clock()

    def __enter__(self) -> "Slot":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self, *, usual: bool = True) -> None:
        """Give the slot to the next request; a second call does nothing.

        Args:
            usual: Whether how long it was held says how long the next one will be.
        """
        self._admission._release(self, usual)


class Admission:
    """A bounded number of slots; safe to share between threads and the event loop.

    Args:
        slots: How many hold one at a time, at most.
        share: What part of its time limit a request may hold a slot. Where more slots make it longer, as for a slow
            model server that works on one request at a time, fewer are given; None always gives all. Without this,
            all would be at the model server at once, and none would have its response in time.
        waited: Told how many seconds each request waited that got a slot.
        began_waiting: Called when a request joins the queue; ``review`` must then be called now and then while
            ``waiting`` is above 0.
    """

    def __init__(
        self,
        slots: int,
        waited: Callable[[float], object] = lambda seconds: None,
        began_waiting: Callable[[], object] = lambda: None,
        share: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self._most = slots
        self._limit = float(slots)  # how many are given now, between 1 and all
        self._share = share
        self._waited = waited
        self._began_waiting = began_waiting
        self._lock = threading.Lock()
        self._running: set[Slot] = set()
        self._running_by: Counter[str] = Counter()  # by the callers' names
        self._queues = Queues()
        self._times = HeldTimes()

    @property
    def running(self) -> int:
        """How many slots are taken."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        with self._lock:
            return len(self._queues)

    def enter(self, deadline: Deadline, caller: Caller | None = None) -> Future[Slot]:
        """Ask for a slot; cancelling the future gives up the place in the queue.

        Args:
            deadline: Of the response.
            caller: Who asks. Its requests hold no more than its share; while they do, others pass those that wait.

        Returns:
            A future of the slot. It fails with ``Overloaded`` when the deadline no longer leaves room.

        Raises:
            Overloaded: The deadline leaves no room.
            DeadlineExceeded: It has passed.
            ClientLeft: Nobody waits for the response.
        """
        future: Future[Slot] = Future()
        remaining = deadline.remaining()
        with self._lock:
            # Who waits beside a free slot has no room, so a newcomer passes nobody else who has.
            if self._has_room(caller) and not self._queues.has(caller):
                self._waited(0.0)
                future.set_result(self._take(deadline, caller))
                return future
            line = self._line()
            for waiting, requests in self._queues.counts():
                line.go_past(waiting, requests)
            if refusal := _refusal(line.to_enter(caller), remaining):
                raise refusal
            self._queues.add(Waiter(deadline, caller, self.clock(), future))
        future.add_done_callback(partial(self._forget, caller))
        self._began_waiting()
        return future

    @contextmanager
    def slot(self, deadline: Deadline, caller: Caller | None = None) -> Iterator[Slot]:
        """Wait for a slot in this thread, and hold it; arguments and errors as of ``enter``."""
        with wait_for(self.enter(deadline, caller), deadline) as slot:
            yield slot

    def review(self) -> None:
        """Refuse all who can no longer have a response in time."""
        refused: list[tuple[Waiter, Overloaded]] = []
        with self._lock:
            line = self._line()
            for waiter in self._queues:
                if refusal := _refusal(line.to_stay(waiter.caller), waiter.deadline.left):
                    refused.append((waiter, refusal))
                else:
                    line.go_past(waiter.caller)
            for waiter, _ in refused:
                self._queues.remove(waiter.caller, waiter.future)
        for waiter, refusal in refused:
            if waiter.future.set_running_or_notify_cancel():
                waiter.future.set_exception(refusal)

    def _has_room(self, caller: Caller | None) -> bool:
        slots = int(self._limit)
        return len(self._running) < slots and self._running_by[name_of(caller)] < share_of(caller, slots)

    def _take(self, deadline: Deadline, caller: Caller | None) -> Slot:
        longest = math.inf if self._share is None else self._share * deadline.seconds
        slot = Slot(self, len(self._running) + 1, longest, caller)
        self._running.add(slot)
        self._running_by[name_of(caller)] += 1
        return slot

    def _release(self, slot: Slot, usual: bool) -> None:
        with self._lock:
            if slot not in self._running:
                return
            seconds, held = self.clock() - slot.started, max(slot.held, len(self._running))
            if seconds > slot.longest:
                # As many as would have been quick enough, if they share what they wait for.
                self._limit = max(1.0, min(self._limit, held * slot.longest / seconds))
            elif usual:
                self._limit = min(self._most, self._limit + 1 / self._limit)
            if usual:
                self._times.learn(seconds, held)
            self._running.remove(slot)
            self._running_by[name_of(slot.caller)] -= 1
            given = self._give()
        for future, outcome in given:
            if isinstance(outcome, Slot):
                future.set_result(outcome)
            else:
                future.set_exception(outcome)

    def _give(self) -> list[tuple[Future[Slot], Slot | Overloaded]]:
        """Give the free slots to the first who wait and have room; refuse those among them for whom it is too late."""
        given: list[tuple[Future[Slot], Slot | Overloaded]] = []
        while len(self._running) < int(self._limit):
            able = [waiter for waiter in self._queues.heads() if self._has_room(waiter.caller)]
            if not able:
                break
            waiter = min(able, key=lambda waiter: waiter.since)
            self._queues.remove(waiter.caller, waiter.future)
            if not waiter.future.set_running_or_notify_cancel():
                continue
            if refusal := _refusal(self._line().at_once(), waiter.deadline.left):
                given.append((waiter.future, refusal))
            else:
                self._waited(self.clock() - waiter.since)
                given.append((waiter.future, self._take(waiter.deadline, waiter.caller)))
        return given

    def _forget(self, caller: Caller | None, future: Future[Slot]) -> None:
        if future.cancelled():
            with self._lock:
                self._queues.remove(caller, future)

    def _line(self) -> Line:
        # Work that hangs has taught nothing yet: how long the present work has run already counts too.
        running = len(self._running)
        age = self.clock() - sum([slot.started for slot in self._running]) / running if running else 0.0
        mean = max(self._times.mean(max(1, running)), age)
        return Line(mean, self._times.deviation, int(self._limit), self._running_by)


def wait_for(future: Future[Slot], deadline: Deadline) -> Slot:
    """Wait in this thread for a slot that was asked for; errors as of ``Admission.enter``."""
    with deadline.on_cancel(future.cancel):
        try:
            return future.result()
        except CancelledError:
            raise ClientLeft from None


def _refusal(needed: float, left: float) -> Overloaded | None:
    """The error for a request that needs more seconds than it has left; None if they are enough."""
    return Overloaded(math.ceil(needed - left)) if needed > left else None
