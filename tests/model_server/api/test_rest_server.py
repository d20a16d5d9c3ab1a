"""The bounds that the HTTP server sets on clients: the size of bodies and headers, slow and silent connections."""

import select
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import pytest

from brain_tumor.processes import free_port
from portable_model_server.api.rest_server import RestServer
from tests.model_server.server_process import ServerProcess

LIMIT = 100_000
PATH = b"/v1/models/half:predict"
BODY = b'{"instances": [1]}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, half_plus: Callable[..., Path]) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("rest_server")
    half_plus(folder / "half" / "1", 2.0)
    flags = ("--model_name=half", f"--model_base_path={folder / 'half'}", f"--max_message_bytes={LIMIT}")
    with ServerProcess(folder / "log", *flags, "--rest_api_num_threads=1") as server:
        yield server.ready()


def connect(server: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.rest_port), timeout=20)


def request(headers: bytes, body: bytes = b"", method: bytes = b"POST", path: bytes = PATH) -> bytes:
    return method + b" " + path + b" HTTP/1.1\r\nHost: half\r\n" + headers + b"\r\n" + body


def exchange(server: ServerProcess, data: bytes) -> bytes:
    """Send bytes on a connection of their own, end it, and return all that comes back."""
    with connect(server) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def chunked(*chunks: bytes) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return request(b"Transfer-Encoding: chunked\r\n", body)


def status(response: bytes) -> int:
    return int(response.split()[1])


def test_bodies_are_bounded(server: ServerProcess) -> None:
    assert server.post("half", b'{"instances": [1]' + b" " * (LIMIT - 18) + b"}").status == 200
    response = server.post("half", b" " * (LIMIT + 1))
    assert (response.status, response.json) == (413, {"error": "Request Entity Too Large"})
    assert status(exchange(server, request(b"Content-Length: 99999999999\r\n"))) == 413


def test_chunked_bodies(server: ServerProcess) -> None:
    assert exchange(server, chunked(BODY)).endswith(b'{"predictions": [2.5]}')
    assert exchange(server, chunked(BODY[:5], BODY[5:])).endswith(b'{"predictions": [2.5]}')
    assert status(exchange(server, chunked(b" " * (LIMIT + 1)))) == 413
    assert status(exchange(server, chunked(*[b" " * 1_000] * 101))) == 413
    assert status(exchange(server, request(b"Transfer-Encoding: chunked\r\n", b"ffffffff\r\n"))) == 413
    assert status(exchange(server, request(b"Transfer-Encoding: chunked\r\n", b"no size\r\n"))) == 400


@pytest.mark.parametrize("length", [b"-1", b"+1", b"1_0", b"x"])
def test_lengths_that_are_no_numbers(server: ServerProcess, length: bytes) -> None:
    assert status(exchange(server, request(b"Content-Length: " + length + b"\r\n", BODY))) == 400


def test_a_body_that_ends_early(server: ServerProcess) -> None:
    assert status(exchange(server, request(b"Content-Length: 100\r\n", BODY))) == 400


def test_headers_are_bounded(server: ServerProcess) -> None:
    assert status(exchange(server, request(b"X-Long: " + b"x" * 300_000 + b"\r\n"))) in (413, 414)


def test_a_connection_takes_several_requests(server: ServerProcess) -> None:
    with closing(HTTPConnection("127.0.0.1", server.rest_port, timeout=20)) as connection:
        connection.connect()
        first_socket = connection.sock
        for _ in range(3):
            connection.request("POST", PATH.decode(), BODY)
            assert connection.getresponse().read() == b'{"predictions": [2.5]}'
            assert connection.sock is first_socket
    two = (request(b"Content-Length: %d\r\n" % len(BODY)) + BODY) * 2
    assert exchange(server, two).count(b'{"predictions": [2.5]}') == 2


@pytest.mark.parametrize("method", [b"HEAD", b"OPTIONS", b"PUT", b"PATCH", b"DELETE"])
def test_other_methods_are_malformed_requests(server: ServerProcess, method: bytes) -> None:
    response = exchange(server, request(b"Connection: close\r\n", method=method, path=b"/v1/models/half"))
    assert status(response) == 400
    message = b'{"error": "Malformed request: %s /v1/models/half"}' % method
    assert response.endswith(b"\r\n\r\n" if method == b"HEAD" else message)


def test_the_server_does_not_introduce_itself(server: ServerProcess) -> None:
    assert server.http("GET", "/v1/models/half").headers.get("Server", "") == ""


def test_silent_and_slow_clients_do_not_keep_others_out(server: ServerProcess) -> None:
    """There are 65 threads: one for a prediction, and the spare ones, which slow clients take."""
    with ExitStack() as connections:
        for _ in range(600):
            connections.enter_context(connect(server))
        for _ in range(50):
            connections.enter_context(connect(server)).sendall(request(b"Content-Length: 100\r\n", b"{"))
        assert server.post("half", {"instances": [1]}, timeout=10).status == 200
    assert "Traceback" not in server.log


def test_no_request_is_lost_when_the_server_stops() -> None:
    """Clients that keep their connections open call all the time; each call ends with a response."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    port = free_port()
    rest_server = RestServer("127.0.0.1", port, app, threads=8, max_body_bytes=LIMIT)
    rest_server.prepare()
    serving = Thread(target=rest_server.serve)
    serving.start()

    def call_until_closed() -> int:
        calls = 0
        with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            connection.connect()
            # Readable before a request means that the server closed the idle connection.
            while connection.sock and not select.select([connection.sock], [], [], 0.001)[0]:
                connection.request("POST", "/", BODY)
                assert connection.getresponse().read() == b"ok"
                calls += 1
        return calls

    with ThreadPoolExecutor(40) as pool:
        clients = [pool.submit(call_until_closed) for _ in range(40)]
        sleep(0.5)
        rest_server.stop()
        assert all(client.result() for client in clients)
    serving.join(10)
    assert not serving.is_alive()
