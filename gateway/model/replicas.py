"""The replicas of the model server: finds them, gives each its share of the calls, and leaves out those that fail.

gRPC's own round robin and outlier detection were tried first. With three replicas and one of them stopped, a gateway
with 20 calls a second ejected it after a second, but one with a call a second never; each time a replica was tried
again it cost four to seven more calls; a call that a client had given up counted as its replica's failure; and a call
repeated by round robin may meet the same replica again. So each replica has a channel of its own.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import grpc

from gateway.model.channel import Cancellable, Replica
from gateway.model.lookup import MAX_AGE_AFTER_FAILURE, Lookup

# A replica that another one overtook so often, without a response in between, gets no more requests.
MISSES = 2
# The wait before a replica is tried again; it doubles with each failure until the replica responds to a request.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0  # seconds
_TRIAL_SECONDS = 5.0  # time limit of a trial; where all replicas are slow, they still pass
_NO_RESPONSE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


class Replicas:
    """All replicas of one model server; safe to share between threads.

    Args:
        lookup: Finds their addresses.
        trial: A cheap request, serialised. A replica out of service gets it from time to time, instead of a client's.
        ejected: Is called each time a replica is taken out of service.
    """

    def __init__(self, lookup: Lookup, trial: bytes, ejected: Callable[[], None]) -> None:
        self._lookup = lookup
        self._trial = trial
        self._ejected = ejected
        self._lock = threading.Lock()
        self._replicas: list[Replica] = []
        self._adopted: tuple[str, ...] = ()
        self._turn = 0

    def pick(self, tried: Collection[Replica], seconds: float) -> Replica | None:
        """The next replica in turn, among those that were not tried: one in service if there is one; None if none is.

        Args:
            tried: The replicas that the request was sent to before.
            seconds: How long to wait for the first addresses.
        """
        self._lookup.refresh()
        if not self._lookup.targets:
            self._lookup.refresh(MAX_AGE_AFTER_FAILURE)
            self._lookup.wait(seconds)
        with self._lock:
            self._adopt(self._lookup.targets)
            untried = [replica for replica in self._replicas if replica not in tried]
            in_service = [replica for replica in untried if replica.in_service]
            if not (candidates := in_service or untried):
                return None
            self._turn += 1
            picked = candidates[self._turn % len(candidates)]
            due = self._due(picked) if len(in_service) < len(untried) else []
        for replica in due:
            future = replica.start_trial(self._trial, _TRIAL_SECONDS)
            future.add_done_callback(partial(self._end_trial, replica))
        return picked

    def another_in_service(self, tried: Collection[Replica], than: Replica) -> bool:
        """Whether a replica is in service that was not tried and is not this one."""
        return any(replica.in_service for replica in self._replicas if replica is not than and replica not in tried)

    @contextmanager
    def calling(self, replica: Replica, call: Cancellable, ejections: int) -> Iterator[None]:
        """Cancel the call if the replica is ejected while the block runs, or was since it had had so many ejections."""
        with self._lock:
            replica.calls.add(call)
            ejected = replica.ejections != ejections
        if ejected:
            call.cancel()
        try:
            yield
        finally:
            with self._lock:
                replica.calls.discard(call)

    def responded(self, replica: Replica) -> None:
        """Note that a replica responded to a request."""
        if replica.misses or replica.pause or not replica.in_service:
            with self._lock:
                replica.misses, replica.pause, replica.in_service = 0, 0.0, True

    def unavailable(self, replica: Replica) -> None:
        """Note that a replica could not be reached, or refused work."""
        with self._lock:
            self._take_out(replica)
        self._lookup.refresh(MAX_AGE_AFTER_FAILURE)

    def missed(self, replica: Replica) -> None:
        """Note that another replica responded, in the usual time, to a request that this one had not responded to."""
        with self._lock:
            replica.misses += 1
            others = any(other.in_service for other in self._replicas if other is not replica)
            if replica.misses < MISSES or not replica.in_service or not others:
                return
            self._take_out(replica)
            replica.ejections += 1
            calls = list(replica.calls)
        # They would wait as long as the replica hangs: each is sent to another replica instead.
        for call in calls:
            call.cancel()

    def close(self) -> None:
        """End the connections."""
        with self._lock:
            for replica in self._replicas:
                replica.close()

    def _adopt(self, targets: tuple[str, ...]) -> None:
        """Keep the replicas that are still among the addresses, forget the others, and add the new ones."""
        if targets == self._adopted:
            return
        known = {replica.target: replica for replica in self._replicas}
        replicas = [known.get(target) or Replica(target) for target in targets]
        self._replicas = sorted(replicas, key=lambda replica: replica.place)
        self._adopted = targets

    def _due(self, picked: Replica) -> list[Replica]:
        """Those to try again now, marked as such. Without a replica in service, requests themselves are the trials."""
        if not picked.in_service:
            return []
        now = time.monotonic()
        due = [
            replica
            for replica in self._replicas
            if not replica.in_service and not replica.trying and replica.next_trial <= now
        ]
        for replica in due:
            replica.trying = True
        return due

    def _end_trial(self, replica: Replica, future: Any) -> None:
        responded = future.code() not in _NO_RESPONSE
        with self._lock:
            replica.trying = False
            if responded:
                replica.in_service, replica.misses = True, 0
            elif not replica.in_service:
                self._pause(replica)

    def _take_out(self, replica: Replica) -> None:
        if replica.in_service:
            replica.in_service = False
            self._pause(replica)
            self._ejected()

    def _pause(self, replica: Replica) -> None:
        replica.pause = min(2 * replica.pause, LONGEST_PAUSE) or FIRST_PAUSE
        replica.next_trial = time.monotonic() + replica.pause
