"""Slots for fetches and for heavy images: callers have shares of them too, and of the places of those who wait."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest

from gateway.deadline import Deadline
from gateway.edge.admission import Overloaded, Slot
from gateway.edge.messages import SLOT
from gateway.edge.slots import Slots
from gateway.keys import Caller
from gateway.metrics import Metrics
from tests.gateway.fake_model_server import wait_for

FAR = 60.0  # seconds
HALF, TENTH, OTHER = Caller("half", share=0.5), Caller("tenth", share=0.1), Caller("other")


class Gateway:
    """Slots, a loop that looks after those who wait, and threads for requests."""

    def __init__(self, loop: asyncio.AbstractEventLoop, in_flight: int, fetches: int) -> None:
        async def make() -> Slots:
            return Slots(in_flight, fetches, self._metrics)

        self._metrics = Metrics()
        self.slots = asyncio.run_coroutine_threadsafe(make(), loop).result(10)
        self.pool = ThreadPoolExecutor(self.slots.threads + 1)
        self.requests: list[Request] = []

    @property
    def waiting(self) -> float:
        (gauge,) = self._metrics.waiting.collect()
        return gauge.samples[0].value

    def work(self, caller: Caller | None) -> Slot:
        return self.slots.work.enter(Deadline(FAR), caller).result(0)

    def begin(self, kind: str, caller: Caller | None) -> "Request":
        """Begin a request that fetches, or is heavy; return when it holds that slot, waits for it, or is refused."""
        waiting = self.waiting
        request = Request(self, kind, caller)
        self.requests.append(request)
        wait_for(lambda: request.inside.is_set() or request.future.done() or self.waiting > waiting)
        return request


class Request:
    """A request that leaves its slot for work, takes one of another kind, and keeps it until it is told to go on."""

    def __init__(self, gateway: Gateway, kind: str, caller: Caller | None) -> None:
        self.inside, self.go_on = threading.Event(), threading.Event()
        self.environ = {SLOT: gateway.work(caller)}
        self.hold = getattr(gateway.slots, kind)
        self.future: Future[Slot] = gateway.pool.submit(self._run)

    def _run(self) -> Slot:
        try:
            with self.hold(self.environ, Deadline(FAR)):
                self.inside.set()
                assert self.go_on.wait(20)
        finally:
            self.environ[SLOT].release()
        return self.environ[SLOT]

    @property
    def state(self) -> str:
        if self.future.done():
            return "refused" if isinstance(self.future.exception(), Overloaded) else "done"
        return "inside" if self.inside.is_set() else "waits"


@pytest.fixture
def gateway() -> Iterator[Callable[[int, int], Gateway]]:
    """A function that makes slots: gateway(in_flight, fetches); its requests end after the test."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    made: list[Gateway] = []

    def make(in_flight: int, fetches: int) -> Gateway:
        made.append(Gateway(loop, in_flight, fetches))
        return made[-1]

    yield make
    for gateway in made:
        for request in gateway.requests:
            request.go_on.set()
        for request in gateway.requests:
            with suppress(Overloaded):
                request.future.result(20)
        gateway.pool.shutdown()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.close()


def states(requests: list[Request]) -> list[str]:
    return [request.state for request in requests]


def test_a_caller_fetches_no_more_than_its_share(gateway):
    gateway = gateway(16, 4)
    own = [gateway.begin("fetching", HALF) for _ in range(3)]
    other = gateway.begin("fetching", OTHER)
    assert states([*own, other]) == ["inside", "inside", "waits", "inside"]
    own[0].go_on.set()
    wait_for(own[2].inside.is_set)


@pytest.mark.parametrize(("kind", "places"), [("fetching", 4), ("heavy", 16)])
def test_a_caller_has_no_more_than_its_share_of_those_who_are_away(gateway, kind, places):
    gateway = gateway(32, 1)
    own = [gateway.begin(kind, HALF) for _ in range(places // 2 + 1)]
    others = [gateway.begin(kind, OTHER) for _ in range(places // 2 + 1)]
    assert states(own) == ["inside", *["waits"] * (places // 2 - 1), "refused"]
    assert states(others) == [*["waits"] * (places // 2), "refused"]
    own[0].go_on.set()
    own[0].future.result(20)
    wait_for(own[1].inside.is_set)
    assert gateway.begin(kind, HALF).state == "waits"


@pytest.mark.parametrize("kind", ["fetching", "heavy"])
def test_a_caller_with_a_small_share_may_have_one_away(gateway, kind):
    gateway = gateway(16, 1)
    assert states([gateway.begin(kind, TENTH) for _ in range(2)]) == ["inside", "refused"]


def test_who_is_refused_keeps_its_slot_for_work(gateway):
    gateway = gateway(16, 1)
    gateway.begin("fetching", TENTH)
    assert gateway.slots.work.running == 0
    slot = gateway.work(TENTH)
    with pytest.raises(Overloaded), gateway.slots.fetching({SLOT: slot}, Deadline(FAR)):
        pass
    assert gateway.slots.work.running == 1
    slot.release()


def test_after_a_fetch_the_share_of_work_holds(gateway):
    gateway = gateway(2, 2)
    request = gateway.begin("fetching", HALF)
    held = gateway.work(HALF)
    request.go_on.set()
    wait_for(lambda: gateway.waiting == 1)
    gateway.work(OTHER).release()  # a slot is free, for others
    assert not request.future.done()
    held.release()
    assert request.future.result(20).caller is HALF
    assert gateway.slots.work.running == 0


def test_all_kinds_without_keys(gateway):
    gateway = gateway(4, 2)
    assert states([gateway.begin("fetching", None) for _ in range(3)]) == ["inside", "inside", "waits"]
    assert states([gateway.begin("heavy", None) for _ in range(2)]) == ["inside", "waits"]


def test_a_request_that_holds_no_slot_may_fetch_and_be_heavy(gateway):
    slots = gateway(1, 1).slots
    environ: dict[str, Slot] = {}
    with slots.fetching(environ, Deadline(FAR)):
        pass
    with slots.heavy(environ, Deadline(FAR)):
        pass
    assert (environ, slots.work.running) == ({}, 0)
