import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc
import psutil
import pytest

from brain_tumor import contract
from gateway.model.channel import Connection
from serving_api.messages import PredictRequest
from serving_api.requests import predict_request
from tests.gateway.fake_model_server import abort_with, fake_model_server, hold_until, wait_for


def describe() -> PredictRequest:
    return predict_request(contract.MODEL_NAME, contract.DESCRIBE_SIGNATURE, {})


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
        connection = Connection(f"127.0.0.1:{listener.getsockname()[1]}")
        stack.callback(connection.close)
        started = time.monotonic()
        with pytest.raises(grpc.RpcError) as raised:
            connection.predict(describe(), 20)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert time.monotonic() - started < 5


def test_it_connects_anew_where_no_replica_responds_and_leaves_nothing_behind(model_server):
    connection = Connection(model_server.address, patience=0)
    model_server.fault = abort_with(grpc.StatusCode.UNAVAILABLE)
    before = sockets()
    for _ in range(10):
        with pytest.raises(grpc.RpcError):
            connection.predict(describe(), 20)
    model_server.fault = None
    connection.predict(describe(), 20)
    wait_for(lambda: sockets() <= before + 2)  # both ends of the last connection
    assert len(model_server.peers) == 11
    connection.close()


def test_a_channel_that_responds_is_kept(model_server):
    connection = Connection(model_server.address)
    for fault in (None, abort_with(grpc.StatusCode.UNAVAILABLE), None):
        model_server.fault = fault
        try:
            connection.predict(describe(), 20)
        except grpc.RpcError:
            assert fault
    assert len(model_server.peers) == 1
    connection.close()


def test_a_call_under_way_outlives_its_channel(model_server):
    connection = Connection(model_server.address, patience=0)
    release = threading.Event()
    hold, refuse = hold_until(release), abort_with(grpc.StatusCode.UNAVAILABLE)
    model_server.fault = hold
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(connection.predict, describe(), 20)
        wait_for(lambda: model_server.count(contract.DESCRIBE_SIGNATURE) == 1)
        model_server.fault = refuse
        with pytest.raises(grpc.RpcError):
            connection.predict(describe(), 20)
        model_server.fault = None
        connection.predict(describe(), 20)  # through a new channel
        release.set()
        assert slow.result(20).model_spec.name == contract.MODEL_NAME
    assert len(model_server.peers) == 2
    connection.close()


def test_a_replica_that_is_gone_costs_no_call():
    with fake_model_server() as first, fake_model_server() as second:
        connection = Connection(f"ipv4:{first.address},{second.address}")
        wait_for(lambda: connection.predict(describe(), 20) and first.calls and second.calls)
        first.server.stop(grace=None).wait()
        for _ in range(20):
            connection.predict(describe(), 20)
        connection.close()
