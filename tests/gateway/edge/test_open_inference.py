"""Inference at the edge: it takes slots as predictions do, and whatever the edge refuses has the protocol's form."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from brain_tumor import contract
from tests.brain_tumor import images
from tests.gateway.edge.raw import Reply, get, head, send, whole
from tests.gateway.fake_model_server import SMALL, FakeModelServer, hold_until, wait_for
from tests.gateway.gateway_process import GatewayProcess

INFER = "/v2/models/brain-tumor/infer"
VERSION = "/v2/models/brain-tumor/versions/1/infer"


@pytest.fixture(scope="module")
def gateway(start) -> GatewayProcess:
    return start(GATEWAY_MAX_IN_FLIGHT="2", GATEWAY_DEADLINE_SECONDS="4", GATEWAY_MAX_BODY_BYTES="8000000")


def inference(path: str = INFER, count: int = 1, space: str = "", **more: object) -> bytes:
    shape = (count, SMALL.height, SMALL.width, 3)
    data = np.full(shape, 30, np.uint8).tolist()
    sent = {"inputs": [{"name": "images", "shape": shape, "datatype": "UINT8", "data": data}], **more}
    body = json.dumps(sent, separators=(f",{space}", ":")).encode()
    return head(path, f"Content-Length: {len(body)}") + body


@contextmanager
def held_model(model_server: FakeModelServer) -> Iterator[None]:
    """A model that does not respond within the block."""
    release = threading.Event()
    model_server.fault = hold_until(release, contract.PREDICT_SIGNATURE)
    try:
        yield
    finally:
        release.set()
        model_server.fault = None


def metric(gateway: GatewayProcess, series: str) -> float:
    for line in send(gateway, get("/metrics")).body.decode().splitlines():
        if line.startswith(series + " "):
            return float(line.split()[-1])
    return 0.0


def check(reply: Reply | None, status: int) -> str:
    assert reply is not None
    assert (reply.status, reply.headers["content-type"]) == (status, "application/json")
    assert set(reply.document) == {"error", "request_id"}
    assert reply.document["request_id"] == reply.headers["x-request-id"]
    return str(reply.document["error"])


@pytest.mark.parametrize("path", [INFER, VERSION, f"/{INFER}", f"http://x{INFER}", "/v2/models/brain%2Dtumor/infer"])
def test_inference_takes_a_slot(gateway, model_server, path):
    with held_model(model_server), gateway.connect() as connection:
        connection.sendall(inference(path))
        wait_for(lambda: metric(gateway, "gateway_in_flight") == 1)
        for quick in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/brain-tumor", "/livez"):
            assert send(gateway, get(quick)).status == 200
    wait_for(lambda: metric(gateway, "gateway_in_flight") == 0)


def test_who_finds_no_slot_is_told_so_in_the_protocol_s_form(gateway, model_server):
    series = 'gateway_requests_total{route="/v2/models/<model>/versions/<version>/infer",status="503"}'
    before = metric(gateway, series)
    with ThreadPoolExecutor(8) as pool, held_model(model_server):
        replies = [pool.submit(send, gateway, inference(VERSION)) for _ in range(8)]
        statuses = sorted(future.result(20).status for future in replies)
    assert statuses == [503] * 6 + [504] * 2
    refused = next(future.result() for future in replies if future.result().status == 503)
    assert check(refused, 503) == "The service is busy. Try again shortly."
    assert int(refused.headers["retry-after"]) > 0
    assert metric(gateway, series) == before + 6


def test_long_numbers_keep_nobody_else_waiting(gateway):
    heavy = metric(gateway, 'gateway_wait_seconds_count{slot="heavy"}')
    long = inference(count=16, space=" " * 60)
    assert len(long) > 1 << 20
    with ThreadPoolExecutor(8) as pool:
        replies = [pool.submit(send, gateway, long) for _ in range(6)]
        assert send(gateway, whole(images.GLIOMA)).status == 200
        assert [future.result(20).status for future in replies] == [200] * 6
    assert metric(gateway, 'gateway_wait_seconds_count{slot="heavy"}') == heavy + 6
    assert send(gateway, inference()).status == 200
    assert metric(gateway, 'gateway_wait_seconds_count{slot="heavy"}') == heavy + 6


@pytest.mark.parametrize("text", [" " * 10**6 + "x", "0" * 10**6 + "x", "1" * 10**6 + " " * 10**6 + "x"])
def test_long_texts_keep_nobody_waiting(gateway, text):
    check(send(gateway, inference(parameters={"frame": text})), 400)


def test_who_leaves_gives_its_slot_back(gateway, model_server):
    with held_model(model_server):
        with gateway.connect() as connection:
            connection.sendall(inference())
            wait_for(lambda: metric(gateway, "gateway_in_flight") == 1)
        wait_for(lambda: metric(gateway, "gateway_in_flight") == 0, timeout=3)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (head(INFER, "Content-Length: 8000001"), 413),
        (head(INFER, "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
        (head(INFER, "Transfer-Encoding: chunked") + b"zz\r\n", 400),
    ],
)
def test_refusals_of_the_edge_have_the_protocol_s_form(gateway, request_, status):
    assert check(send(gateway, request_), status)
