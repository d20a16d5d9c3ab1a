import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from brain_tumor import contract
from gateway.deadline import ClientLeft, Deadline, DeadlineExceeded
from gateway.model.client import ModelClient
from gateway.model.responses import ModelServerProblem, ModelUnavailable, ServedModel
from gateway.model.shared_check import SharedCheck
from tests.gateway.fake_model_server import hold_until, metadata, wait_for

MODEL = ServedModel("brain-tumor", 1, metadata())


def test_many_callers_share_one_call():
    asked = []

    def ask(deadline: Deadline) -> ServedModel:
        asked.append(deadline)
        time.sleep(0.1)
        return MODEL

    check = SharedCheck(ask)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: check.get(), range(200))) == [MODEL] * 200
    assert len(asked) == 1


def test_a_failure_is_shared_too():
    asked = []

    def ask(deadline: Deadline) -> ServedModel:
        asked.append(deadline)
        raise ModelUnavailable("UNAVAILABLE") if len(asked) == 1 else DeadlineExceeded

    check = SharedCheck(ask)
    for _ in range(5):
        with pytest.raises(ModelUnavailable):
            check.get()
    assert len(asked) == 1
    time.sleep(0.6)
    with pytest.raises(ModelServerProblem, match="DEADLINE_EXCEEDED"):
        check.get()


def test_while_the_model_hangs_one_caller_waits_and_the_others_hear_what_was_last_known():
    release = threading.Event()
    calls = iter([True, False])

    def ask(deadline: Deadline) -> ServedModel:
        if not next(calls):
            release.wait(20)
        return MODEL

    check = SharedCheck(ask)
    check.get()
    time.sleep(0.6)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(check.get)
        time.sleep(0.05)
        started = time.monotonic()
        for _ in range(100):
            assert check.get() == MODEL
        assert time.monotonic() - started < 0.5
        assert not waiting.done()
        release.set()
        assert waiting.result(5) == MODEL


def test_the_client_checks_within_a_second(model_server):
    client = ModelClient(model_server.address, contract.MODEL_NAME)
    assert client.check().version == 1
    release = threading.Event()
    model_server.fault = hold_until(release)
    time.sleep(0.6)
    started = time.monotonic()
    try:
        with pytest.raises(ModelServerProblem):
            client.check()
        assert time.monotonic() - started < 1
    finally:
        release.set()
        client.close()


def test_a_client_that_leaves_does_not_wait_for_another_ones_call(model_server):
    client = ModelClient(model_server.address, contract.MODEL_NAME)
    release = threading.Event()
    model_server.fault = hold_until(release)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.get, Deadline(20))
        wait_for(lambda: model_server.calls)
        deadline = Deadline(20)
        second = pool.submit(client.get, deadline)
        deadline.cancel()
        with pytest.raises(ClientLeft):
            second.result(5)
        release.set()
        assert first.result(5).version == 1
    client.close()
