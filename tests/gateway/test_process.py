"""The gateway as gunicorn runs it: a process of its own, real sockets, hostile clients."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway import worker
from gateway.settings import Settings
from tests import processes
from tests.brain_tumor import images
from tests.gateway.fake_model_server import fake_model_server, hold_until, wait_for
from tests.processes import ROOT, free_port

COMMAND = [sys.executable, "-m", "gunicorn", "--config", "gateway/gunicorn.conf.py", "gateway.wsgi:create()"]
PNG = {"Content-Type": "image/png"}


@dataclass
class Gateway:
    port: int
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def request(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None):
        """(status, headers, body); ``body`` may be an iterable of bytes, which is sent in chunks."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {}, encode_chunked=not isinstance(body, bytes | None))
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        """Send these bytes and read until the gateway closes."""
        with self.connect() as connection:
            connection.sendall(data)
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


@contextmanager
def gateway(model_server: str, **environ: str) -> Iterator[Gateway]:
    port = free_port()
    environment = {"GATEWAY_BIND": f"127.0.0.1:{port}", "MODEL_SERVER_ADDRESS": model_server, **environ}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with processes.process(COMMAND, log, environment) as child:
            wait_for(lambda: child.poll() is not None or "Booting worker" in log.read_text(), 30)
            assert child.poll() is None, log.read_text()
            yield Gateway(port, child, log)


@pytest.fixture(scope="module")
def model_server():
    with fake_model_server() as server:
        yield server


@pytest.fixture(scope="module")
def running(model_server) -> Iterator[Gateway]:
    with gateway(
        model_server.address, GATEWAY_UPLOAD_SECONDS="1", GATEWAY_MAX_BODY_BYTES="1000000", GATEWAY_LOG_FORMAT="json"
    ) as process:
        wait_for(lambda: process.request("GET", "/readyz")[0] == 200)
        yield process


def head(path: str = "/predict", *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", "Content-Type: image/png", *lines, "", ""]).encode()


def test_answer(running):
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
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413")


def test_announced_length_over_the_limit_is_refused_before_it_is_sent(running):
    with running.connect() as connection:
        connection.sendall(head("/predict", "Content-Length: 1000001"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("kind", ["image/png", "multipart/form-data; boundary=x", "application/json"])
def test_upload_that_stalls_is_ended(running, kind):
    start = head("/predict", "Content-Length: 1000").replace(b"image/png", kind.encode())
    answer = running.raw(start + b"--x\r\n")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"did not arrive within 1 s" in answer


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


def test_an_old_connection_is_closed_with_an_answer(model_server):
    with gateway(model_server.address, GATEWAY_CONNECTION_SECONDS="0.5") as process:
        connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=20)
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
    running.raw(b"GET /doe\x01 doe doe\r\n\r\n")
    running.raw(b"GET /doe HTTP/1.1\r\nHost: x\r\ndoe doe: 1\r\n\r\n")
    running.request("GET", "/doe")
    wait_for(lambda: running.log.count("details withheld") >= 2)
    text = running.log
    for line in text.splitlines():
        assert {"time", "level", "logger", "message"} <= set(json.loads(line))
    assert "doe" not in text
    listening = f"Listening at: http://127.0.0.1:{running.port}"
    assert "127.0.0.1" not in text.replace(listening, "")


def test_sigterm_answers_what_is_in_flight(model_server):
    release = threading.Event()
    with gateway(model_server.address) as process:
        wait_for(lambda: process.request("GET", "/readyz")[0] == 200)
        model_server.fault = hold_until(release, "serving_default")
        calls = model_server.count("serving_default")
        results: list[int] = []
        request = threading.Thread(
            target=lambda: results.append(process.request("POST", "/predict", images.GLIOMA, PNG)[0])
        )
        try:
            request.start()
            wait_for(lambda: model_server.count("serving_default") > calls)
            process.process.send_signal(signal.SIGTERM)
            wait_for(lambda: "Handling signal: term" in process.log)
        finally:
            release.set()
            model_server.fault = None
        request.join(20)
        assert results == [200]
        assert process.process.wait(20) == 0


@pytest.mark.parametrize(
    ("variable", "value"), [("GATEWAY_THREADS", "none"), ("MODEL_SERVER_ADDRESS", "nowhere"), ("GATEWAY_BIND", "9696")]
)
def test_a_bad_setting_stops_the_start(variable, value):
    environment = {**os.environ, variable: value}
    result = subprocess.run(COMMAND, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode != 0
    assert variable in result.stderr
    assert "Traceback" not in result.stderr


def run_with_client(model_server, code: str) -> str:
    """What the code prints in a process of its own, given ``client``, a gateway's test client."""
    start = """
import sys
from gateway.app import create_app
from gateway.model_client import ModelClient
from gateway.settings import Settings
from gateway import worker
from gateway.settings import Settings
from tests import processes
from tests.brain_tumor import images
settings = Settings(model_server=sys.argv[1])
client = create_app(settings, ModelClient(settings.model_server, settings.model_name)).test_client()
"""
    command = [sys.executable, "-c", start + code, model_server.address]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_images_are_never_written_to_disk(model_server):
    # Werkzeug by itself puts large uploads into a file; here no file can grow.
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
start = b'--x\\r\\nContent-Disposition: form-data; name="image"; filename="a.png"\\r\\n\\r\\n'
body = start + images.GLIOMA + bytes(900_000) + b"\\r\\n--x--\\r\\n"
print(client.post("/predict", data=body, content_type="multipart/form-data; boundary=x").status_code)
"""
    assert run_with_client(model_server, code) == "200"


def test_tensorflow_is_never_imported(model_server):
    code = """
assert client.post("/predict?explain=true", data=images.GLIOMA, content_type="image/png").status_code == 200
assert client.post("/predict", json={"url": "http://127.0.0.1/"}).status_code == 422
assert client.get("/readyz").status_code == client.get("/metrics").status_code == 200
heavy = {"tensorflow", "tensorflow_serving", "keras", "openvino", "scipy", "matplotlib", "sklearn"}
print(sorted({name.partition(".")[0] for name in sys.modules} & heavy))
"""
    assert run_with_client(model_server, code) == "[]"


@pytest.mark.parametrize(
    "half",
    [b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: b", head("/livez", "Content-Length: 5000") + b"abc"],
    ids=["headers", "unread body"],
)
def test_silent_clients_do_not_keep_the_probes_out(running, half):
    with ExitStack() as stack:
        for _ in range(Settings().threads):
            stack.enter_context(running.connect()).sendall(half)
        wait_for(lambda: responds(running, "/livez"), timeout=3 * worker.SECONDS)


def responds(gateway: Gateway, path: str) -> bool:
    try:
        return gateway.request("GET", path)[0] == 200
    except OSError:
        return False
