"""Many connections at once: the silent ones make room for the others."""

import asyncio
import time
from contextlib import ExitStack

import pytest

from gateway.edge.crowd import Crowd, Phase
from gateway.settings import Settings
from tests.brain_tumor import images
from tests.gateway.edge.raw import check_refusal, get, head, read_reply, send, whole
from tests.gateway.fake_model_server import wait_for
from tests.gateway.gateway_process import GatewayProcess

SMALL = 50  # connections


@pytest.fixture(scope="module")
def small(start) -> GatewayProcess:
    return start(GATEWAY_MAX_CONNECTIONS=str(SMALL), GATEWAY_MAX_HELD_BYTES="3000000", GATEWAY_LINGER_SECONDS="1")


@pytest.mark.parametrize(
    "beginning",
    [b"", b"GET /livez HTTP/1.1\r\nX-A: b", head("/predict", "Content-Length: 5000") + b"abc", get()],
    ids=["silent", "half headers", "half body", "kept"],
)
def test_lazy_clients_keep_nobody_out(small, beginning):
    with ExitStack() as stack:
        lazy = []
        for _ in range(3 * SMALL):
            lazy.append(stack.enter_context(small.connect()))
            lazy[-1].sendall(beginning)
        for _ in range(3):
            assert send(small, get()).status == 200
            assert send(small, whole()).document["class"] == "glioma"


def test_who_must_go_is_told_so(small):
    with ExitStack() as stack:
        lazy = []
        for _ in range(SMALL):
            lazy.append(stack.enter_context(small.connect()))
            lazy[-1].sendall(b"GET /livez HTTP/1.1\r\nX-A: b")
        time.sleep(0.2)
        assert send(small, get()).status == 200
        assert "busy" in check_refusal(read_reply(lazy[0]), 503)


def test_there_are_never_many_more_connections_than_allowed(small):
    with ExitStack() as stack:
        for _ in range(6 * SMALL):
            stack.enter_context(small.connect()).sendall(b"GET /livez HTTP/1.1\r\nX-A: b")
        assert connections(small) <= 1.1 * SMALL + 1


class Stub:
    """A connection that only counts."""

    def __init__(self, phase: Phase, last_active: float) -> None:
        self.phase, self.last_active, self.calls = phase, last_active, []

    def __getattr__(self, name: str):
        return lambda *_: self.calls.append(name)


def test_the_limit_of_memory_holds_whoever_else_is_silent():
    async def play() -> None:
        crowd = Crowd(Settings(max_held=1 << 20), handler=None, refuse=None)
        now = crowd.loop.time()
        silent = Stub(Phase.BODY, now - 30)
        senders = [Stub(Phase.BODY, now) for _ in range(30)]
        for member in (silent, *senders):
            crowd.add(member)
            member.drop = lambda member=member: (crowd.release(member), member.calls.append("drop"))
        crowd.hold(silent, 9)
        for sender in senders:
            crowd.hold(sender, 100_000)
        assert silent.calls == ["drop"]
        assert sum("drop" in sender.calls for sender in senders) == 20  # ten fit
        working = Stub(Phase.WORK, now)
        crowd.add(working)
        crowd.hold(working, 2 << 20)
        assert all("drop" in sender.calls for sender in senders)
        assert working.calls == []

    asyncio.run(play())


def test_large_bodies_that_stall_make_room(small):
    wait_for(lambda: connections(small) == 1)
    with ExitStack() as stack:
        lazy = []
        for _ in range(4):
            lazy.append(stack.enter_context(small.connect()))
            lazy[-1].sendall(head("/predict", "Content-Length: 2000000") + bytes(900_000))
            time.sleep(0.2)
        assert send(small, whole(images.GLIOMA + bytes(500_000))).status == 200
        # The oldest of them was dropped. Its response comes when its body has arrived, and its connection is kept.
        lazy[0].sendall(bytes(1_100_000))
        reply = read_reply(lazy[0])
        assert "busy" in check_refusal(reply, 503, close=False)
        assert int(reply.headers["retry-after"]) > 0
        lazy[0].sendall(whole())
        assert read_reply(lazy[0]).status == 200
    wait_for(lambda: send(small, whole(images.GLIOMA + bytes(2_500_000))).status == 200)


@pytest.mark.parametrize(("path", "status"), [("/livez", 405), ("/nothing", 404)])
def test_a_body_that_nobody_reads_takes_no_memory(small, path, status):
    check_refusal(send(small, head(path, "Content-Length: 4000000") + bytes(4_000_000)), status, close=False)


def test_the_memory_of_bodies_is_counted_down_again(small):
    for _ in range(10):
        assert send(small, whole(images.GLIOMA + bytes(900_000))).status == 200


def test_requests_ahead_of_a_full_memory_are_answered(small):
    """Each of them is refused without a wait, so nothing breaks the chain from one to the next."""
    wait_for(lambda: connections(small) == 1)
    with ExitStack() as stack:
        full = stack.enter_context(small.connect())
        full.sendall(whole(bytes(2_999_990))[:-1])
        time.sleep(0.3)
        ahead = stack.enter_context(small.connect())
        ahead.sendall(whole(bytes(9)) * 500)
        buffer = bytearray()
        assert {read_reply(ahead, buffer).status for _ in range(500)} <= {415, 503}
    assert " ERROR " not in small.log


def test_open_connections_are_counted(small):
    wait_for(lambda: connections(small) == 1)
    with small.connect(), small.connect():
        wait_for(lambda: connections(small) == 3)


def connections(gateway: GatewayProcess) -> float:
    """How many connections are open, that of this request among them."""
    lines = send(gateway, get("/metrics")).body.decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("gateway_connections "))
