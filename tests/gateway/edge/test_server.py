"""The gateway as gunicorn runs it: a process of its own, real sockets, hostile clients."""

import http.client
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from gateway.__main__ import load_app
from gateway.http.server import HEADER_TIMEOUT, Server
from gateway.settings import Settings
from tests.brain_tumor import images
from tests.gateway.calls import PNG
from tests.gateway.fake_model_server import FakeModelServer, fake_model_server, hold_until, wait_for
from tests.gateway.gateway_process import GatewayProcess, gateway_process


@pytest.fixture(scope="module")
def model_server() -> Iterator[FakeModelServer]:
    with fake_model_server() as server:
        yield server


@pytest.fixture(scope="module")
def running(model_server, tmp_path_factory) -> Iterator[GatewayProcess]:
    settings = {
        "GATEWAY_UPLOAD_SECONDS": "1",
        "GATEWAY_MAX_BODY_BYTES": "1000000",
        "GATEWAY_LOG_FORMAT": "json",
    }
    with gateway_process(tmp_path_factory.mktemp("running") / "log", model_server.port, **settings) as gateway:
        wait_for(lambda: gateway.responds("/readyz"))
        yield gateway


@pytest.fixture(scope="module")
def impatient(model_server, tmp_path_factory) -> Iterator[GatewayProcess]:
    command = [sys.executable, "-m", "tests.gateway.impatient_gateway"]
    with gateway_process(tmp_path_factory.mktemp("impatient") / "log", model_server.port, command) as gateway:
        yield gateway


def head(path: str = "/predict", *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", "Content-Type: image/png", *lines, "", ""]).encode()


def test_predict(running):
    status, headers, body = running.request("POST", "/predict?explain=true", images.GLIOMA, PNG)
    assert (status, json.loads(body)["class"]) == (200, "glioma")
    assert headers["X-Request-ID"] == json.loads(body)["request_id"]


def test_chunked_body(running):
    parts = [images.GLIOMA[start : start + 50] for start in range(0, len(images.GLIOMA), 50)]
    status, _, body = running.request("POST", "/predict", iter(parts), PNG)
    assert (status, json.loads(body)["class"]) == (200, "glioma")


def test_chunked_body_over_the_limit(running):
    with running.connect() as connection:
        connection.sendall(head("/predict", "Transfer-Encoding: chunked"))
        chunk = b"2710\r\n" + bytes(10_000) + b"\r\n"
        for _ in range(101):  # and never an end
            connection.sendall(chunk)
        response = connection.recv(65536)
    assert response.startswith(b"HTTP/1.1 413")


def test_announced_length_over_the_limit_is_refused_before_it_is_sent(running):
    with running.connect() as connection:
        connection.sendall(head("/predict", "Content-Length: 1000001"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("kind", ["image/png", "multipart/form-data; boundary=x", "application/json"])
def test_upload_that_stalls_is_ended(running, kind):
    start = head("/predict", "Content-Length: 1000").replace(b"image/png", kind.encode())
    response = running.send_raw(start + b"--x\r\n")
    assert response.startswith(b"HTTP/1.1 408")
    assert b"did not arrive within 1 s" in response


def test_upload_that_drips_is_ended(running):
    stop = threading.Event()
    with running.connect() as connection:
        connection.sendall(head("/predict", "Transfer-Encoding: chunked"))

        def drip() -> None:
            try:
                while not stop.wait(0.05):
                    connection.sendall(b"1\r\na\r\n")
            except OSError:
                pass

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert connection.recv(65536).startswith(b"HTTP/1.1 408")
        finally:
            stop.set()
            thread.join()


def test_client_that_hangs_up_is_no_error(running):
    before = len(running.log.splitlines())
    with running.connect() as connection:
        connection.sendall(head("/predict", "Content-Length: 1000") + b"half")
    wait_for(lambda: len(running.log.splitlines()) > before)
    assert running.request("GET", "/livez")[0] == 200
    assert '"level": "error"' not in running.log


def test_connection_is_kept_for_the_next_request(running):
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    connection.request("POST", "/predict", images.GLIOMA, PNG)
    connection.getresponse().read()
    first = connection.sock
    connection.request("POST", "/predict", b"bad image", PNG)
    assert connection.getresponse().read()
    assert connection.sock is first
    connection.close()


def test_an_old_connection_is_closed_with_a_response(model_server, tmp_path):
    with gateway_process(tmp_path / "log", model_server.port, GATEWAY_CONNECTION_SECONDS="0.5") as gateway:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
        opened = time.monotonic()
        kept = 0
        while True:
            connection.request("POST", "/predict", images.GLIOMA, PNG)
            response = connection.getresponse()
            assert response.read()
            if response.headers["Connection"] == "close":
                break
            kept += 1
        connection.close()
        assert response.status == 200
        assert kept
        assert time.monotonic() - opened > 0.5


def test_log_lines_are_json_without_client_data(running):
    running.request("POST", "/predict?name=doe", images.GLIOMA, {**PNG, "User-Agent": "doe", "Referer": "doe"})
    running.request(
        "POST", "/predict", json.dumps({"url": "http://127.0.0.1/doe"}).encode(), {"Content-Type": "application/json"}
    )
    running.send_raw(b"GET /doe\x01 doe doe\r\n\r\n")
    running.send_raw(b"GET /doe HTTP/1.1\r\nHost: x\r\ndoe doe: 1\r\n\r\n")
    running.request("GET", "/doe")
    wait_for(lambda: running.log.count("details withheld") >= 2)
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


def test_a_new_worker_serves_after_sighup(impatient):
    workers = impatient.log.count("Booting worker")
    impatient.process.send_signal(signal.SIGHUP)
    wait_for(lambda: impatient.log.count("Booting worker") == workers + 1)
    wait_for(lambda: impatient.log.count("Worker exiting") == workers)
    wait_for(lambda: impatient.responds("/readyz"))


@pytest.mark.parametrize(
    "half",
    [b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: b", head("/livez", "Content-Length: 5000") + b"abc"],
    ids=["headers", "unread body"],
)
def test_silent_clients_do_not_keep_the_probes_out(impatient, half):
    with ExitStack() as stack:
        for _ in range(Settings().threads):
            stack.enter_context(impatient.connect()).sendall(half)
        wait_for(lambda: impatient.responds("/livez"), timeout=30)


def test_options_come_from_the_settings_alone(monkeypatch):
    for variable, value in (("GUNICORN_CMD_ARGS", "--workers 3"), ("WEB_CONCURRENCY", "3"), ("PORT", "1")):
        monkeypatch.setenv(variable, value)
    settings = Settings(bind="127.0.0.1:9000", threads=30)
    server = Server(settings, partial(load_app, settings))
    assert (server.cfg.bind, server.cfg.workers, server.cfg.threads) == (["127.0.0.1:9000"], 1, 30)
    assert server.header_timeout == HEADER_TIMEOUT
