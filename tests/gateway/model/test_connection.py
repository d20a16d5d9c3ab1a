import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import grpc
import psutil
import pytest

from brain_tumor import contract
from brain_tumor.processes import free_port, listens
from gateway.deadline import ClientLeft, Deadline
from gateway.model.connection import Connection
from gateway.model.lookup import Lookup
from gateway.model.replicas import Replicas
from gateway.model.responses import ModelTooSlow, ModelUnavailable
from serving_api.requests import predict_request
from tests.gateway.fake_model_server import FakeModelServer, abort_with, fake_model_server, hold_until, wait_for

DESCRIBE = predict_request(contract.MODEL_NAME, contract.DESCRIBE_SIGNATURE, {}).SerializeToString()
TRIAL = predict_request(contract.MODEL_NAME, contract.DESCRIBE_SIGNATURE, {}, [contract.METADATA]).SerializeToString()


def call(connection: Connection, seconds: float = 20) -> float:
    """Describe the model; return the seconds that it took."""
    started = time.monotonic()
    connection.predict(DESCRIBE, "describe", Deadline(seconds))
    return time.monotonic() - started


def targets(*servers: FakeModelServer) -> str:
    return "ipv4:" + ",".join(server.address for server in servers)


@contextmanager
def connect(*servers: FakeModelServer | str) -> Iterator[Connection]:
    given = servers[0]
    connection = Connection(given if isinstance(given, str) else targets(*servers), TRIAL)
    yield connection
    connection.close()


@contextmanager
def hanging(server: FakeModelServer) -> Iterator[None]:
    """All calls of this server hang while the block runs."""
    release = threading.Event()
    server.fault = hold_until(release)
    try:
        yield
    finally:
        server.fault = None
        release.set()


@pytest.fixture
def replicas() -> Iterator[list[FakeModelServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(fake_model_server()) for _ in range(3)]


def sockets() -> int:
    return len(psutil.Process().net_connections())


def test_a_peer_that_does_not_even_refuse_fails_soon():
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(2):  # a full queue: the kernel drops further attempts to connect without a word
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        connection = stack.enter_context(connect(f"127.0.0.1:{listener.getsockname()[1]}"))
        started = time.monotonic()
        with pytest.raises(ModelUnavailable):
            call(connection)
    assert time.monotonic() - started < 5


def test_it_finds_the_replicas_that_a_name_leads_to_later(replicas):
    first, second, _ = replicas
    lookup = Lookup(targets(first))
    found = Replicas(lookup, TRIAL, lambda: None)
    before = sockets()
    old = found.pick((), 1)
    list(old.start(DESCRIBE, 20))
    lookup.targets = Lookup(targets(second)).targets
    new = found.pick((), 1)
    list(new.start(DESCRIBE, 20))
    assert (old.target, new.target) == (targets(first), targets(second))
    list(old.start(DESCRIBE, 20))  # its calls end, ...
    del old
    wait_for(lambda: sockets() <= before + 2)  # ... and then its connection: both ends of the other one remain
    found.close()


def test_each_gateway_goes_through_the_replicas_in_an_order_of_its_own():
    """Gateways in one order would meet at the same replica again and again, and their calls wait for each other."""
    lookup = Lookup("ipv4:" + ",".join(f"127.0.0.1:{port}" for port in range(1, 13)))
    orders = set()
    for gateway in [Replicas(lookup, TRIAL, lambda: None) for _ in range(3)]:
        rounds = [[gateway.pick((), 0).target for _ in lookup.targets] for _ in range(2)]
        assert rounds[0] == rounds[1] and set(rounds[0]) == set(lookup.targets)
        first = rounds[0].index(lookup.targets[0])
        orders.add(tuple(rounds[0][first:] + rounds[0][:first]))
        gateway.close()
    assert len(orders) == 3


def test_the_name_of_no_replica(model_server):
    with connect("no-such-host.invalid:8500") as connection, pytest.raises(ModelUnavailable):
        call(connection)


def test_a_replica_that_is_gone_costs_no_call(replicas):
    with connect(*replicas) as connection:
        for gone in replicas[:2]:
            wait_for(lambda: call(connection) and all(server.calls for server in replicas))
            gone.server.stop(grace=None).wait()
            for _ in range(20):
                call(connection)


def test_a_replica_that_returns_gets_its_share_again(replicas):
    replicas[0].fault = abort_with(grpc.StatusCode.UNAVAILABLE)
    with connect(*replicas) as connection:
        wait_for(lambda: call(connection) and connection.ejections == 1)
        replicas[0].fault = None
        before = len(replicas[0].calls)
        wait_for(lambda: call(connection) and len(replicas[0].calls) > before + 5)


def test_while_no_replica_responds_a_request_is_one_call(replicas):
    for server in replicas:
        server.fault = abort_with(grpc.StatusCode.UNAVAILABLE)
    with connect(*replicas) as connection:
        for _ in range(60):
            with pytest.raises(ModelUnavailable):
                call(connection)
        assert sum(len(server.calls) for server in replicas) <= 60 + 3 + 5 + 60 // 20
        for server in replicas:
            server.fault = None
        wait_for(lambda: responds(connection))


def responds(connection: Connection) -> bool:
    try:
        call(connection)
    except ModelUnavailable:
        return False
    return True


def test_a_replica_that_hangs_is_overtaken_and_left_out_and_returns(replicas):
    with connect(*replicas) as connection, ThreadPoolExecutor(6) as pool:
        for _ in range(9):
            call(connection)
        with hanging(replicas[0]):
            seconds = list(pool.map(lambda _: call(connection), range(18)))
            assert max(seconds) < 3
            assert connection.ejections == 1
            results = connection.results()
            assert 2 <= results["hung"] <= 5
            assert results["response"] == 9 + 18
            assert max(call(connection) for _ in range(9)) < 0.5
        before = len(replicas[0].calls)
        wait_for(lambda: call(connection) and len(replicas[0].calls) > before + 5)


def test_slow_replicas_are_not_called_more_often(replicas):
    with connect(*replicas) as connection, ThreadPoolExecutor(32) as pool:
        for _ in range(9):
            call(connection)
        before = sum(len(server.calls) for server in replicas)
        for server in replicas:
            server.fault = lambda signature, context: time.sleep(1.2)
        list(pool.map(lambda _: call(connection), range(64)))
        assert sum(len(server.calls) for server in replicas) - before <= 64 + 5 + 64 // 20
        assert connection.ejections == 0


def test_a_single_replica_has_all_the_time(model_server):
    with connect(model_server) as connection:
        call(connection)
        model_server.fault = lambda signature, context: time.sleep(1.2)
        assert call(connection) > 1.2
        assert len(model_server.calls) == 2
        with hanging(model_server), pytest.raises(ModelTooSlow):
            call(connection, 0.3)


def test_a_client_that_leaves_ends_its_call(replicas):
    server = replicas[0]
    ended = threading.Event()

    def fault(signature, context) -> None:
        context.add_callback(ended.set)
        ended.wait(20)

    server.fault = fault
    with connect(server) as connection, ThreadPoolExecutor(1) as pool:
        deadline = Deadline(20)
        waiting = pool.submit(connection.predict, DESCRIBE, "describe", deadline)
        wait_for(lambda: server.calls)
        deadline.cancel()
        with pytest.raises(ClientLeft):
            waiting.result(5)
        assert ended.wait(5)  # the model server learns of it
        assert connection.results() == {"client_left": 1}


def serve(port: int) -> None:
    with fake_model_server(port, host="127.0.0.2"):
        threading.Event().wait()


def test_a_stopped_process(model_server):
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    process.start()
    try:
        wait_for(lambda: listens(port, "127.0.0.2"), timeout=30)
        with connect(f"{targets(model_server)},127.0.0.2:{port}") as connection:
            for _ in range(10):
                call(connection)
            os.kill(process.pid, signal.SIGSTOP)
            assert max(call(connection) for _ in range(10)) < 3
            assert connection.ejections == 1
    finally:
        process.kill()
        process.join()
