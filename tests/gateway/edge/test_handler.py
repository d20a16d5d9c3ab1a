"""Slots and threads: who waits, who is refused, and what goes on meanwhile."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from wsgiref.types import StartResponse, WSGIEnvironment

import grpc
import h11
import pytest
from PIL import Image

from brain_tumor import contract
from gateway.deadline import Deadline
from gateway.edge.admission import Overloaded
from gateway.edge.handler import Handler
from gateway.edge.head import read_head
from gateway.edge.lanes import Lane, Route, Routes
from gateway.edge.messages import Request
from gateway.edge.slots import Slots
from gateway.keys import digest_of
from gateway.metrics import Metrics
from tests.brain_tumor import images
from tests.gateway.edge.raw import check_refusal, get, send, whole
from tests.gateway.fake_model_server import FakeModelServer, hold_until, wait_for
from tests.gateway.gateway_process import GatewayProcess


@pytest.fixture(scope="module")
def two_slots(start) -> GatewayProcess:
    return start(GATEWAY_MAX_IN_FLIGHT="2", GATEWAY_DEADLINE_SECONDS="4")


@contextmanager
def held_model(model_server: FakeModelServer) -> Iterator[threading.Event]:
    """A model that does not respond before the event is set."""
    release = threading.Event()
    model_server.fault = hold_until(release, contract.PREDICT_SIGNATURE)
    try:
        yield release
    finally:
        release.set()
        model_server.fault = None


def metric(gateway: GatewayProcess, series: str) -> float:
    for line in send(gateway, get("/metrics")).body.decode().splitlines():
        if line.startswith(series + " "):
            return float(line.split()[-1])
    return 0.0


def test_a_crowd_waits_for_its_slots(two_slots, model_server):
    model_server.fault = lambda signature, context: time.sleep(0.02)
    waits = metric(two_slots, 'gateway_wait_seconds_count{slot="work"}')
    with ThreadPoolExecutor(30) as pool:
        statuses = list(pool.map(lambda _: send(two_slots, whole()).status, range(60)))
    assert statuses == [200] * 60
    assert metric(two_slots, 'gateway_wait_seconds_count{slot="work"}') - waits == 60


def test_who_cannot_be_served_in_time_is_refused_and_nobody_else_waits(two_slots, model_server):
    with ThreadPoolExecutor(12) as pool, held_model(model_server):
        calls = model_server.count(contract.PREDICT_SIGNATURE)
        began = time.monotonic()
        replies = [pool.submit(send, two_slots, whole()) for _ in range(12)]
        wait_for(lambda: metric(two_slots, "gateway_waiting") == 10)
        assert metric(two_slots, "gateway_in_flight") == 2
        wait_for(lambda: model_server.count(contract.PREDICT_SIGNATURE) == calls + 2)
        # Neither probes nor errors wait for a slot.
        for path, status in (("/livez", 200), ("/readyz", 200), ("/", 200), ("/nothing", 404)):
            assert send(two_slots, get(path)).status == status
        statuses = sorted(future.result(20).status for future in replies)
        assert time.monotonic() - began < 6
    assert statuses == [503] * 10 + [504] * 2
    refused = next(future.result() for future in replies if future.result().status == 503)
    check_refusal(refused, 503, close=False)
    assert int(refused.headers["retry-after"]) > 0
    assert metric(two_slots, 'gateway_requests_total{route="/predict",status="503"}') >= 10


def test_who_has_left_gives_its_slot_back(two_slots, model_server):
    cancelled = threading.Event()

    def fault(signature: str, context: grpc.ServicerContext) -> None:
        if signature == contract.PREDICT_SIGNATURE:
            context.add_callback(cancelled.set)
            assert cancelled.wait(20)

    model_server.fault = fault
    calls = model_server.count(contract.PREDICT_SIGNATURE)
    with two_slots.connect() as connection:
        connection.sendall(whole())
        wait_for(lambda: model_server.count(contract.PREDICT_SIGNATURE) > calls)
        assert metric(two_slots, "gateway_in_flight") == 1
    wait_for(lambda: metric(two_slots, "gateway_in_flight") == 0, timeout=3)
    assert cancelled.wait(3)  # its call of the model too
    model_server.fault = None
    assert send(two_slots, whole()).status == 200
    assert " ERROR " not in two_slots.log


def test_who_leaves_the_queue_is_forgotten(two_slots, model_server):
    with held_model(model_server), ExitStack() as working, ExitStack() as waiting:
        for stack, count, gauge in ((working, 2, "gateway_in_flight"), (waiting, 5, "gateway_waiting")):
            for _ in range(count):
                stack.enter_context(two_slots.connect()).sendall(whole())
            wait_for(lambda gauge=gauge, count=count: metric(two_slots, gauge) == count)
        calls = model_server.count(contract.PREDICT_SIGNATURE)
        waiting.close()
        wait_for(lambda: metric(two_slots, "gateway_waiting") == 0)
    assert send(two_slots, whole()).status == 200
    assert model_server.count(contract.PREDICT_SIGNATURE) == calls + 1


def test_probes_are_answered_while_others_hammer_them(two_slots, model_server):
    release = threading.Event()
    model_server.fault = hold_until(release)  # the description, which /readyz asks for, too
    with ThreadPoolExecutor(24) as pool:
        hammering = [pool.submit(send, two_slots, get("/readyz")) for _ in range(24)]
        try:
            began = time.monotonic()
            assert send(two_slots, get("/livez")).status == 200
            assert time.monotonic() - began < 1.0
        finally:
            release.set()
        assert all(future.result(30).status == 200 for future in hammering)


@pytest.mark.parametrize(
    "line", [b"POST //predict", b"POST predict", b"post /predict", b"POST /predict/", b"POST http://x//predict"]
)
def test_every_way_to_write_the_route_takes_a_slot(two_slots, model_server, line):
    with held_model(model_server), two_slots.connect() as connection:
        connection.sendall(whole().replace(b"POST /predict", line))
        wait_for(lambda: metric(two_slots, "gateway_in_flight") == 1)
        began = time.monotonic()
        assert send(two_slots, get()).status == 200
        assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("line", [b"HEAD /readyz", b"GET //readyz", b"HEAD /metrics", b"GET /nothing", b"PUT /"])
def test_only_what_never_waits_runs_in_the_loop(two_slots, model_server, line):
    release = threading.Event()
    model_server.fault = hold_until(release)
    try:
        with two_slots.connect() as connection:
            connection.sendall(get().replace(b"GET /livez", line))
            began = time.monotonic()
            assert send(two_slots, get()).status == 200
            assert time.monotonic() - began < 0.5
    finally:
        release.set()


def test_heavy_images_keep_nobody_else_waiting(start):
    # A deadline that leaves all of them room to wait, also on a busy machine.
    gateway = start(GATEWAY_MAX_IN_FLIGHT="2", GATEWAY_DEADLINE_SECONDS="60")
    heavy = whole(images.encode(Image.effect_noise((3500, 3000), 50), "JPEG", quality=90))
    with ThreadPoolExecutor(10) as pool:
        photos = [pool.submit(send, gateway, heavy) for _ in range(10)]
        assert [send(gateway, whole()).status for _ in range(10)] == [200] * 10
        assert not all(future.done() for future in photos)
        assert {future.result(60).status for future in photos} <= {200, 503}


def test_the_wait_counts_in_the_time_of_a_request(two_slots, model_server):
    model_server.fault = lambda signature, context: time.sleep(0.1)
    total = metric(two_slots, 'gateway_request_seconds_sum{route="/predict"}')
    with ThreadPoolExecutor(6) as pool:
        documents = [json.loads(reply.body) for reply in pool.map(lambda _: send(two_slots, whole()), range(6))]
    assert {document["class"] for document in documents} == {"glioma"}
    assert metric(two_slots, 'gateway_request_seconds_sum{route="/predict"}') - total > 2 * (0.1 + 0.2 + 0.3) * 0.9


def test_a_prediction_needs_no_thread_that_another_waits_with(start, model_server):
    """One slot, one fetch: requests that leave their slot come back, whatever else waits."""
    gateway = start(
        GATEWAY_MAX_IN_FLIGHT="1", GATEWAY_MAX_FETCHES="1", GATEWAY_URL_PORTS="9", GATEWAY_DEADLINE_SECONDS="60"
    )
    fetch = json.dumps({"url": "http://127.0.0.1:9/a.png"}).encode()
    json_request = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    json_request += f"Content-Length: {len(fetch)}\r\n\r\n".encode() + fetch
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda i: send(gateway, json_request if i % 2 else whole(images.NOTUMOR)), range(40)))
    assert {reply.status for reply in replies[::2]} == {200}
    assert {reply.status for reply in replies[1::2]} <= {422, 503}
    assert 422 in {reply.status for reply in replies[1::2]}


def test_the_scrape_waits_for_nothing_else_that_is_asked_for():
    """Other requests fill their threads and their queue; the metrics come at once."""
    documents, metrics = Route("/documents", Lane.OTHER), Route("/metrics", Lane.METRICS)
    release = threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == documents.rule:
            assert release.wait(20)
        start_response("200 OK", [])
        return [b""]

    async def ask(handler: Handler, route: Route) -> int:
        head = read_head(h11.Request(method="GET", target=route.rule, headers=[("Host", "x")]))
        return (await handler.respond(Request(head, b"", route), Deadline(20))).status

    async def run() -> None:
        handler = Handler(application, Routes({}, documents), Slots(1, 1, Metrics()), 20)
        waiting = [asyncio.create_task(ask(handler, documents)) for _ in range(100)]
        await asyncio.sleep(0)  # until each of them waits
        try:
            with pytest.raises(Overloaded):
                await ask(handler, documents)
            assert await asyncio.wait_for(ask(handler, metrics), 10) == 200
        finally:
            release.set()
        assert await asyncio.gather(*waiting) == [200] * 100
        handler.close()

    asyncio.run(run())


def test_who_finds_no_slot_is_named(start, model_server, tmp_path):
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[team]\nsha256 = ["{digest_of("a-key")}"]\nscopes = ["predict", "metrics"]\n')
    gateway = start(GATEWAY_KEYS_FILE=str(keys), GATEWAY_MAX_IN_FLIGHT="1", GATEWAY_DEADLINE_SECONDS="2")
    key = "Authorization: Bearer a-key"
    with held_model(model_server), gateway.connect() as holder:
        calls = model_server.count(contract.PREDICT_SIGNATURE)
        holder.sendall(whole(images.GLIOMA, key))
        wait_for(lambda: model_server.count(contract.PREDICT_SIGNATURE) > calls)
        reply = send(gateway, whole(images.GLIOMA, key, "X-Request-ID: refused"))
        check_refusal(reply, 503, close=False)
        assert 0 < int(reply.headers["retry-after"]) < 60
    wait_for(lambda: "/predict 503 for team [refused]" in gateway.log)
    text = send(gateway, get("/metrics", key)).body.decode()
    assert 'gateway_caller_requests_total{caller="team",status="503"} 1.0' in text
    assert 'gateway_requests_total{route="/predict",status="503"} 1.0' in text
