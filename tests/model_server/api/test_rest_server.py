"""The bounds that the HTTP server sets on clients: the size of bodies and headers, slow and silent connections."""

import select
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

import pytest
from flask import Flask

from brain_tumor.processes import free_port
from portable_model_server.api import rest_server
from portable_model_server.api.listeners import PortTaken, RestListener
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


def echo(environ: Any, start_response: Any) -> list[bytes]:
    """A WSGI application that returns the body and the length that the headers give."""
    body = environ["CONTENT_LENGTH"].encode() + b" " + environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


@contextmanager
def serving(app: Any = echo, threads: int = 4) -> Iterator[RestServer]:
    """A server of a WSGI application, within this process; it stops at the end of the block."""
    rest_server = RestServer("127.0.0.1", free_port(), app, threads=threads, max_body_bytes=LIMIT)
    rest_server.prepare()
    thread = Thread(target=rest_server.serve)
    thread.start()
    try:
        yield rest_server
    finally:
        rest_server.stop()
        thread.join(10)
    assert not thread.is_alive()


def port_of(server: ServerProcess | RestServer) -> int:
    return server.rest_port if isinstance(server, ServerProcess) else int(server.bind_addr[1])


def connect(server: ServerProcess | RestServer, timeout: float = 20) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(server)), timeout=timeout)


def request(headers: bytes, body: bytes = b"", method: bytes = b"POST", path: bytes = PATH) -> bytes:
    return method + b" " + path + b" HTTP/1.1\r\nHost: half\r\n" + headers + b"\r\n" + body


def receive(connection: socket.socket, end: bytes | None = None) -> bytes:
    """Read until these bytes end what has come, or until the end of the connection."""
    data = b""
    while end is None or not data.endswith(end):
        try:
            block = connection.recv(1 << 16)
        except ConnectionResetError:
            break
        if not block:
            break
        data += block
    return data


def exchange(server: ServerProcess | RestServer, data: bytes) -> bytes:
    """Send bytes on a connection of their own, end it, and return all that comes back."""
    with connect(server) as connection:
        with suppress(OSError):  # the server refuses what is too large before its end
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        return receive(connection)


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return request(b"Transfer-Encoding: chunked\r\n", body + b"0\r\n" + trailers + b"\r\n")


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


def test_clients_that_keep_their_connections_after_chunked_requests() -> None:
    with serving() as server, ExitStack() as connections:
        for _ in range(8):
            connection = connections.enter_context(connect(server, timeout=5))
            for _ in range(2):
                connection.sendall(chunked(b"hi"))
                assert status(receive(connection, b"\r\n\r\n2 hi")) == 200
        with connect(server, timeout=5) as other:
            other.sendall(request(b"Content-Length: 2\r\n", b"ho"))
            assert status(receive(other, b"\r\n\r\n2 ho")) == 200
        server.shutdown_timeout = 20
        started = monotonic()
        server.stop()
        assert monotonic() - started < 5


def test_trailers() -> None:
    with serving() as server:
        with_trailers = chunked(b"hi", trailers=b"Check: 1\r\nMore: 2\r\n")
        responses = exchange(server, with_trailers + request(b"Content-Length: 2\r\n", b"ho"))
        assert responses.count(b"HTTP/1.1") == responses.count(b"HTTP/1.1 200") == 2
        assert status(exchange(server, chunked(trailers=b"x" * 400_000))) == 413
        assert status(exchange(server, chunked()[:-2])) == 400


def test_the_size_of_a_chunk_is_bounded(server: ServerProcess) -> None:
    with connect(server) as connection:
        connection.sendall(request(b"Transfer-Encoding: chunked\r\n"))
        connection.sendall(b"1" * (2 * LIMIT + (65 << 10)))  # without the end of the line
        assert status(connection.recv(1 << 16)) == 413


def hidden(version: bytes, headers: bytes) -> bytes:
    """A request whose body a server that misreads its headers takes for one more request."""
    head = b"POST / HTTP/" + version + b"\r\nHost: half\r\nConnection: Keep-Alive\r\n" + headers + b"\r\n"
    return head + request(b"Connection: close\r\n", method=b"GET", path=b"/v1/models/half")


@pytest.mark.parametrize("length", [b"-1", b"+1", b"1_0", b"x"])
def test_lengths_that_are_no_numbers(server: ServerProcess, length: bytes) -> None:
    response = exchange(server, hidden(b"1.1", b"Content-Length: " + length + b"\r\n"))
    assert (status(response), response.count(b"HTTP/1.1")) == (400, 1)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_malformed_chunks_end_the_connection(server: ServerProcess, version: bytes) -> None:
    response = exchange(server, hidden(version, b"Transfer-Encoding: chunked\r\n"))
    assert (status(response), response.count(b"HTTP/1.1")) == (400, 1)


def test_headers_with_an_underscore_are_dropped() -> None:
    with serving() as server:
        response = exchange(server, request(b"Content-Length: 2\r\nContent_Length: 1\r\n", b"hi"))
        assert response.endswith(b"\r\n\r\n2 hi")
        assert exchange(server, request(b"Content_Length: 2\r\n")).endswith(b"\r\n\r\n0 ")


@pytest.mark.parametrize("start", [b"POST / HTTP/1.1\r\nX: ", request(b"Content-Length: 1000\r\n")])
def test_a_request_must_arrive_in_time(monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr(rest_server, "_REQUEST_S", 1)
    with serving() as server, connect(server) as slow:
        slow.sendall(start)
        started = monotonic()
        while not select.select([slow], [], [], 0.1)[0]:
            slow.sendall(b"x")
            assert monotonic() - started < 5
        assert status(slow.recv(1 << 16)) == 408


def test_a_client_is_served_when_there_is_no_room_for_silent_ones() -> None:
    with serving() as server, ExitStack() as connections:
        server.keep_alive_conn_limit = 2
        for _ in range(3):
            silent = connections.enter_context(connect(server))
            sleep(0.1)
        with connect(server) as client:
            sleep(0.3)
            client.sendall(request(b"Content-Length: 2\r\n", b"hi"))
            assert status(receive(client, b"\r\n\r\n2 hi")) == 200
        assert silent.recv(1) == b""  # the third, after a while


def test_a_stop_without_grace_does_not_wait_for_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_server, "_DRAIN_S", 5)
    with serving() as server:
        server.shutdown_timeout = 0
        started = monotonic()
        server.stop()
        assert monotonic() - started < 3


def test_a_response_that_closes_its_connection_is_the_last_one() -> None:
    """Even if one more request is there when the server stops: the workers may have ended before it gets a turn."""
    started, go_on = Event(), Event()

    def app(environ: Any, start_response: Any) -> Any:
        started.set()
        assert go_on.wait(20)
        return echo(environ, start_response)

    with serving(app, threads=1) as server, connect(server) as client, ThreadPoolExecutor(1) as pool:
        client.sendall(request(b"Content-Length: 2\r\n", b"hi") * 2)
        assert started.wait(20)
        server.shutdown_timeout = 20
        stopped = pool.submit(server.stop)
        sleep(2)  # the idle connections are closed by now, and the workers are to end
        go_on.set()
        response = receive(client)
        assert b"\r\nConnection: close\r\n" in response
        assert response.count(b"HTTP/1.1 200") == 1
        stopped.result(20)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"^REST cannot listen on 127\.0\.0\.1:{port}: Address already in use$"):
            RestListener("127.0.0.1", port, Flask("none"), predictions=1, max_body_bytes=LIMIT)


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


@pytest.mark.parametrize("method", [b"HEAD", b"PUT", b"PATCH", b"DELETE"])
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
        sleep(1)
        with connect(server, timeout=10) as client:
            sleep(0.1)  # so that the server sees a connection without a request first
            client.sendall(request(b"Content-Length: %d\r\n" % len(BODY), BODY))
            assert status(client.recv(1 << 16)) == 200
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
