"""The pods of both tiers in simulated time."""

import heapq
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from benchmarks.capacity.loop import Loop
from gateway.deadline import Deadline, DeadlineExceeded
from gateway.edge.admission import Admission, Overloaded, Slot
from gateway.edge.slots import REVIEW_SECONDS, SHARE_OF_WORK

SERVED, REFUSED, LATE = 200, 503, 504
_BLOCK = 4096  # random numbers drawn at a time


class Draws:
    """Random times with this mean and coefficient of variation: 0 is always the mean, 1 exponential (gamma)."""

    def __init__(self, generator: np.random.Generator, mean: float, variation: float) -> None:
        self._generator = generator
        self._mean = mean
        self._variation = variation
        self._block: list[float] = []

    def next(self) -> float:
        """Seconds."""
        if not self._variation or not self._mean:
            return self._mean
        if not self._block:
            shape = self._variation**-2
            self._block = self._generator.gamma(shape, self._mean / shape, _BLOCK).tolist()
        return self._block.pop()


class Cores:
    """CPUs that take work first come first served. What they will do is known as soon as the work has come.

    Args:
        cores: How many; a part of one makes all of them slower.
    """

    def __init__(self, cores: float) -> None:
        servers = max(1, math.ceil(cores))
        self._speed = cores / servers
        self._free = [0.0] * servers  # when each is free
        self._given = 0.0  # seconds of work, each of one server

    def take(self, now: float, seconds: float) -> float:
        """Give them so much CPU time to do; return the moment when it is done."""
        seconds /= self._speed
        end = max(now, self._free[0]) + seconds
        heapq.heapreplace(self._free, end)
        self._given += seconds
        return end

    def used(self, now: float) -> float:
        """Seconds of CPU that they have spent until now."""
        ahead = sum(max(0.0, free - now) for free in self._free)
        return (self._given - ahead) * self._speed


@dataclass
class Request:
    """A request from its arrival; its status comes with its end."""

    arrived: float
    ended: float = math.inf
    status: int = 0


class Pod:
    """A pod of either tier, with the moments that the HPA knows of it."""

    def __init__(self, cores: float, created: float, ready: float) -> None:
        self.cores = Cores(cores)
        self.created = created
        self.ready = ready


@dataclass(frozen=True)
class Costs:
    """What a request takes.

    Attributes:
        receiving: Seconds of CPU that a gateway spends on a request also if it refuses it.
        working: Seconds of CPU that it spends on one that it serves, beside that.
        model: Seconds of CPU that a model server spends on a call.
        variation: The coefficient of variation of that.
        network: Seconds from a gateway to a model server and back.
    """

    receiving: float
    working: float
    model: float
    variation: float
    network: float


# More than there are pods to simulate.
_PRIMES = (1_000_003, 1_000_033, 1_000_037, 1_000_039, 1_000_081, 1_000_099, 1_000_117, 1_000_121, 1_000_133)


class Gateway(Pod):
    """A gateway: its CPU, its slots with the real admission, and its turn among the model servers."""

    def __init__(
        self,
        loop: Loop,
        costs: Costs,
        cores: float,
        slots: int,
        deadline: float,
        model_servers: Callable[[], Sequence[Pod]],
        draws: Draws,
        generator: np.random.Generator,
        turns: int,
        ready: float = 0.0,
    ) -> None:
        super().__init__(min(cores, 1.0), loop.now, ready)  # Python runs in one thread at a time
        self._loop = loop
        self._costs = costs
        self._deadline = deadline
        self._model_servers = model_servers
        self._draws = draws
        self._generator = generator
        # Each gateway has an order of its own: a large prime as a stride visits all, in an order that depends on it.
        self._turns = generator.integers(1 << 16, size=turns).tolist()
        self._strides = generator.choice(_PRIMES, size=turns).tolist()
        self._reviewing = False
        self.admission = Admission(slots, began_waiting=self._review_later, share=SHARE_OF_WORK, clock=loop.clock)

    @property
    def at_hand(self) -> int:
        """Requests at work and waiting: ``gateway_in_flight`` and ``gateway_waiting``."""
        return self.admission.running + self.admission.waiting

    def arrive(self, request: Request) -> None:
        """A client sends a request."""
        self._loop.at(self.cores.take(self._loop.now, self._costs.receiving), self._enter, request)

    def _enter(self, request: Request) -> None:
        deadline = Deadline(self._deadline, self._loop.clock)
        try:
            future = self.admission.enter(deadline)
        except Overloaded:
            self._end(request, REFUSED)
            return
        future.add_done_callback(lambda done: self._entered(request, deadline, done))

    def _entered(self, request: Request, deadline: Deadline, future: Future[Slot]) -> None:
        if future.exception():
            self._end(request, REFUSED)
            return
        done = self.cores.take(self._loop.now, self._costs.working)
        self._loop.at(done, self._call, request, deadline, future.result())

    def _call(self, request: Request, deadline: Deadline, slot: Slot) -> None:
        now, network = self._loop.now, self._costs.network
        try:
            left = deadline.remaining()
        except DeadlineExceeded:
            left = 0.0
        else:
            server = self._next_server()
            # A call that nobody waits for any more is computed nevertheless.
            response = server.cores.take(now + network / 2, self._draws.next()) + network / 2
            if response <= now + left:
                self._loop.at(response, self._respond, request, slot, SERVED)
                return
        self._loop.at(now + left, self._respond, request, slot, LATE)

    def _next_server(self) -> Pod:
        servers, turns = self._model_servers(), self._turns
        chosen = int(self._generator.random() * len(turns)) if len(turns) > 1 else 0
        turns[chosen] += 1
        return servers[turns[chosen] * self._strides[chosen] % len(servers)]

    def _respond(self, request: Request, slot: Slot, status: int) -> None:
        slot.release(usual=status == SERVED)
        self._end(request, status)

    def _end(self, request: Request, status: int) -> None:
        request.ended, request.status = self._loop.now, status

    def _review_later(self) -> None:
        if not self._reviewing:
            self._reviewing = True
            self._loop.at(self._loop.now + REVIEW_SECONDS, self._review)

    def _review(self) -> None:
        self._reviewing = False
        self.admission.review()
        if self.admission.waiting:
            self._review_later()
