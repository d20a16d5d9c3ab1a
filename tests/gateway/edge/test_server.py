"""The gateway as gunicorn runs it: how it starts, what it logs and keeps, and how it ends."""

import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from gateway.edge.server import Server
from gateway.logs.lines import configuration
from gateway.settings import Settings
from tests.brain_tumor import images
from tests.gateway.calls import PNG
from tests.gateway.edge.raw import get, read_reply, send, whole
from tests.gateway.fake_model_server import hold_until, wait_for
from tests.gateway.gateway_process import GatewayProcess, gateway_process


@pytest.fixture(scope="module")
def running(start) -> GatewayProcess:
    return start(GATEWAY_LOG_FORMAT="json")


def test_log_lines_are_json_without_client_data(running):
    running.request("POST", "/predict?name=doe", images.GLIOMA, {**PNG, "User-Agent": "doe", "Referer": "doe"})
    running.request(
        "POST", "/predict", json.dumps({"url": "http://127.0.0.1/doe"}).encode(), {"Content-Type": "application/json"}
    )
    send(running, b"GET /doe\x01 doe doe\r\n\r\n")
    send(running, b"GET /doe HTTP/1.1\r\nHost: x\r\ndoe doe: 1\r\n\r\n")
    running.request("GET", "/doe")
    wait_for(lambda: running.log.count("unread 400") >= 2)
    text = running.log
    for line in text.splitlines():
        assert {"time", "level", "logger", "message"} <= set(json.loads(line))
    assert "doe" not in text
    listening = f"Listening at: http://127.0.0.1:{running.port}"
    assert "127.0.0.1" not in text.replace(listening, "")


def test_what_is_in_flight_at_sigterm_gets_its_response(model_server, tmp_path):
    release = threading.Event()
    with gateway_process(tmp_path / "log", model_server.port) as gateway:
        wait_for(lambda: gateway.responds("/readyz"))
        model_server.fault = hold_until(release, "serving_default")
        calls = model_server.count("serving_default")
        results: list[int] = []
        request = threading.Thread(
            target=lambda: results.append(gateway.request("POST", "/predict", images.GLIOMA, PNG)[0])
        )
        try:
            request.start()
            wait_for(lambda: model_server.count("serving_default") > calls)
            gateway.process.send_signal(signal.SIGTERM)
            wait_for(lambda: "Handling signal: term" in gateway.log)
        finally:
            release.set()
            model_server.fault = None
        request.join(20)
        assert results == [200]
        assert gateway.process.wait(20) == 0


def test_a_new_worker_serves_after_sighup(start):
    gateway = start()
    workers = gateway.log.count("Booting worker")
    gateway.process.send_signal(signal.SIGHUP)
    wait_for(lambda: gateway.log.count("Booting worker") == workers + 1)
    wait_for(lambda: gateway.log.count("Worker exiting") == workers)
    wait_for(lambda: gateway.responds("/readyz"))


def test_kept_connections_do_not_delay_the_end(start):
    gateway = start()
    with gateway.connect() as idle, gateway.connect() as lingering, gateway.connect() as busy:
        idle.sendall(get())
        lingering.sendall(get("/livez", "Connection: close"))
        assert read_reply(idle).status == read_reply(lingering).status == 200
        began = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "Handling signal: term" in gateway.log)
        busy.sendall(whole())  # connected before the end began
        reply = read_reply(busy)
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert gateway.process.wait(20) == 0
        assert time.monotonic() - began < 8


def test_sigquit_ends_at_once(start, model_server):
    gateway = start()
    release = threading.Event()
    model_server.fault = hold_until(release, "serving_default")
    with gateway.connect() as connection:
        connection.sendall(whole())
        wait_for(lambda: model_server.count("serving_default"))
        gateway.process.send_signal(signal.SIGQUIT)
        try:
            gateway.process.wait(8)
        finally:
            release.set()


def test_large_images_leave_no_memory_behind(start):
    gateway = start(GATEWAY_DEADLINE_SECONDS="20")  # each image gets its response on a busy machine too
    large = images.encode(images.noise((3000, 2500)), "JPEG", quality=30)
    send(gateway, whole())
    process = psutil.Process(gateway.process.pid).children()[0]
    before = process.memory_info().rss
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: send(gateway, whole(large)), range(8)))
    assert {reply.status for reply in replies} == {200}
    assert process.memory_info().rss - before < 25e6  # one image decoded takes 30 MB, each of two decoders one


def test_options_come_from_the_settings_alone(monkeypatch):
    for variable, value in (("GUNICORN_CMD_ARGS", "--workers 3"), ("WEB_CONCURRENCY", "3"), ("PORT", "1")):
        monkeypatch.setenv(variable, value)
    settings = Settings(bind="127.0.0.1:9000")
    server = Server(settings, configuration("info", "plain"), lambda: pytest.fail("not loaded here"))
    assert (server.cfg.bind, server.cfg.workers) == (["127.0.0.1:9000"], 1)
