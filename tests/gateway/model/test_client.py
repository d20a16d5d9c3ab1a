import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from types import SimpleNamespace

import grpc
import pytest

from brain_tumor import contract
from gateway.deadline import Deadline
from gateway.model import client as client_module
from gateway.model.client import ModelClient
from gateway.model.responses import ModelUnavailable
from tests.gateway.calls import check_problem, count_model_errors, predict
from tests.gateway.fake_model_server import FakeModel, abort_with, fake_model_server, hold_until, metadata, wait_for


@pytest.mark.parametrize("only", [None, contract.PREDICT_SIGNATURE])
@pytest.mark.parametrize(
    ("code", "status"),
    [
        (grpc.StatusCode.UNAVAILABLE, 503),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 503),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504),
        (grpc.StatusCode.NOT_FOUND, 502),
        (grpc.StatusCode.INVALID_ARGUMENT, 502),
        (grpc.StatusCode.FAILED_PRECONDITION, 502),
        (grpc.StatusCode.UNIMPLEMENTED, 502),
        (grpc.StatusCode.INTERNAL, 502),
        (grpc.StatusCode.UNKNOWN, 502),
        (grpc.StatusCode.DATA_LOSS, 502),
        (grpc.StatusCode.PERMISSION_DENIED, 502),
    ],
)
def test_each_code_has_its_status(client, model_server, code, status, only):
    model_server.fault = abort_with(code, only)
    response = predict(client)
    document = check_problem(response, status)
    assert "10.1.2.3" not in str(document)
    assert ("Retry-After" in response.headers) == (status == 503)
    assert count_model_errors(client) == {code.name: 1.0}
    model_server.fault = None
    assert predict(client).status_code == 200


def test_unavailable_is_tried_again(client, model_server):
    failures = iter([True, True, False])

    def fault(signature, context):
        if signature == contract.PREDICT_SIGNATURE and next(failures):
            context.abort(grpc.StatusCode.UNAVAILABLE, "moving")

    model_server.fault = fault
    assert predict(client).status_code == 200
    assert model_server.count(contract.PREDICT_SIGNATURE) == 3


def test_an_image_larger_than_the_default_retry_buffer_is_tried_again(client, model_server):
    model_server.model = FakeModel(metadata(height=1000, width=1000))  # 3 MB
    failures = iter([True, False])

    def fault(signature, context):
        if signature == contract.PREDICT_SIGNATURE and next(failures):
            context.abort(grpc.StatusCode.UNAVAILABLE, "moving")

    model_server.fault = fault
    assert predict(client).status_code == 200


def test_server_down_and_back(make_client):
    with fake_model_server() as server:
        client = make_client(model_server=server.address)
        assert predict(client).status_code == 200
    response = predict(client)
    check_problem(response, 503)
    assert int(response.headers["Retry-After"]) > 0
    with fake_model_server(server.port):
        wait_for(lambda: predict(client).status_code == 200)


def test_server_never_there(make_client):
    client = make_client(model_server="127.0.0.1:1")
    check_problem(predict(client), 503)


def test_name_that_does_not_exist(make_client):
    client = make_client(model_server="no-such-host.invalid:8500")
    check_problem(predict(client), 503)


@pytest.mark.parametrize("only", [contract.PREDICT_SIGNATURE, contract.DESCRIBE_SIGNATURE])
def test_slow_server(make_client, model_server, only):
    client = make_client(deadline=0.5)
    release = threading.Event()
    model_server.fault = hold_until(release, only)
    try:
        check_problem(predict(client), 504)
    finally:
        release.set()


def test_requests_that_wait_for_the_same_metadata_end_with_their_deadline(make_client, model_server):
    client = make_client(deadline=0.5)
    release = threading.Event()
    model_server.fault = hold_until(release, contract.DESCRIBE_SIGNATURE)
    try:
        with ThreadPoolExecutor(4) as pool:
            responses = list(pool.map(lambda _: predict(client.application.test_client()), range(4)))
        assert [response.status_code for response in responses] == [504] * 4
    finally:
        release.set()


def test_requests_that_wait_for_the_same_metadata_share_the_failure(model_server):
    client = ModelClient(model_server.address, contract.MODEL_NAME)
    release = threading.Event()
    waiting = hold_until(release)

    def fault(signature, context):
        waiting(signature, context)
        context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    model_server.fault = fault
    with ThreadPoolExecutor(8) as pool:
        started = [pool.submit(client.get, Deadline(20)) for _ in range(8)]
        wait_for(lambda: model_server.calls)
        time.sleep(0.2)
        release.set()
        assert {type(future.exception()) for future in started} == {ModelUnavailable}
    # One call, tried three times; a request that came to wait just too late may have made another.
    assert model_server.count(contract.DESCRIBE_SIGNATURE) <= 6
    client.close()


def test_a_failure_is_not_shared_with_those_who_arrive_after_it(model_server, monkeypatch):
    client = ModelClient(model_server.address, contract.MODEL_NAME)
    model_server.fault = abort_with(grpc.StatusCode.UNAVAILABLE)

    def fail(*times: float) -> int:
        """Let the metadata be asked for at these times, of which the last one stays; return the calls so far."""
        clock = chain(times, repeat(times[-1]))
        monkeypatch.setattr(client_module, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        with pytest.raises(ModelUnavailable):
            client.get(Deadline(20))
        return model_server.count(contract.DESCRIBE_SIGNATURE)

    calls = fail(1)
    assert fail(0, 0, 5) == calls  # came before the failure, and hands it on at 5
    assert fail(3) > calls  # came between the two
    client.close()


def test_unknown_model(make_client):
    client = make_client(model_name="other")
    check_problem(predict(client), 502)
    assert count_model_errors(client) == {"NOT_FOUND": 1.0}


def test_both_replicas_get_their_share(make_client, model_server):
    # Two addresses of one name, as a headless Service has them.
    with fake_model_server() as second:
        client = make_client(model_server=f"ipv4:{model_server.address},{second.address}")
        wait_for(lambda: predict(client).status_code == 200 and model_server.batches and second.batches)
