import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import ip_network
from types import SimpleNamespace

import pytest
import trustme

from gateway.deadline import ClientLeft, Deadline
from gateway.images.from_url import SourceTooSlow, SourceUnreachable
from tests.brain_tumor import images
from tests.gateway.images.fetchers import fetcher
from tests.gateway.images.name_lookup import lookup_of
from tests.gateway.web_server import web_server
from tests.processes import has_ipv6

LOOPBACKS = (ip_network("127.0.0.0/8"),)


@contextmanager
def raw_server(start: bytes) -> Iterator[SimpleNamespace]:
    """A server that speaks no protocol: it sends these bytes, and one more now and then; nothing if there are none."""
    stopping = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(start)
            while not stopping.wait(0.02):
                connection.sendall(start[:1])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield SimpleNamespace(port=listener.getsockname()[1])
        finally:
            stopping.set()
            thread.join()


@contextmanager
def dead_address(port: int) -> Iterator[str]:
    """An address at which nobody takes or refuses connections: its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.2", port), backlog=0))
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield "127.0.0.2"


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n", b"a"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"a"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a"),
    ],
    ids=["silent", "headers", "length", "no length", "chunks", "chunk extension"],
)
def test_slow_drip_ends_with_the_timeout(web, start, drop):
    url = web.drip("/slow", start, drop)
    with pytest.raises(SourceTooSlow):
        fetcher(web, timeout=0.4).fetch(url, Deadline(60))


def test_the_request_s_own_deadline_counts_too(web):
    with pytest.raises(SourceTooSlow):
        fetcher(web).fetch(web.drip("/slow", b"HTTP/1.1 200 OK\r\n\r\n", b"a"), Deadline(0.4))


@pytest.mark.parametrize("start", [b"", b"\x16\x03\x03\x40\x00"], ids=["silent", "a handshake byte by byte"])
def test_a_slow_tls_handshake_ends_with_the_timeout(web, start):
    with raw_server(start) as server, pytest.raises(SourceTooSlow):
        fetcher(server, timeout=0.4).fetch(f"https://127.0.0.1:{server.port}/", Deadline(60))


def test_an_address_that_does_not_respond_leaves_time_for_the_next(web):
    web.serve("/scan.png", images.GLIOMA)
    with dead_address(web.port) as dead:
        own = fetcher(web, networks=LOOPBACKS, lookup=lookup_of(dead, "127.0.0.1"), timeout=1.5)
        assert own.fetch(web.url("/scan.png", "images.example"), Deadline(60)) == images.GLIOMA


def test_an_address_that_refuses_is_followed_by_the_next(web):
    web.serve("/scan.png", images.GLIOMA)
    own = fetcher(web, networks=LOOPBACKS, lookup=lookup_of("127.0.0.3", "127.0.0.4", "127.0.0.1"))
    assert own.fetch(web.url("/scan.png", "images.example"), Deadline(60)) == images.GLIOMA


def test_no_more_than_four_addresses_are_tried(web):
    web.serve("/scan.png", images.GLIOMA)
    closed = [f"127.0.0.{number}" for number in range(3, 7)]
    own = fetcher(web, networks=LOOPBACKS, lookup=lookup_of(*closed, "127.0.0.1"))
    with pytest.raises(SourceUnreachable):
        own.fetch(web.url("/scan.png", "images.example"), Deadline(60))
    assert web.requests == []


def test_a_client_that_leaves_ends_the_wait_for_a_response(web):
    deadline = Deadline(60)

    def leave(handler) -> None:
        handler.close_connection = True
        deadline.cancel()
        web.stopping.wait(60)

    web.routes["/silent"] = leave
    try:
        with pytest.raises(ClientLeft):
            fetcher(web, timeout=60).fetch(web.url("/silent"), deadline)
    finally:
        web.stopping.set()


def test_a_client_that_leaves_ends_a_tls_handshake():
    deadline = Deadline(60)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = SimpleNamespace(port=listener.getsockname()[1])

        def leave() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1)  # the handshake has begun
                deadline.cancel()

        thread = threading.Thread(target=leave)
        thread.start()
        with pytest.raises(ClientLeft):
            fetcher(server, timeout=60).fetch(f"https://127.0.0.1:{server.port}/", deadline)
        thread.join()


def test_a_client_that_leaves_ends_the_wait_for_a_connection(web):
    deadline = Deadline(60)
    with dead_address(web.port) as dead:
        own = fetcher(web, networks=LOOPBACKS, lookup=lookup_of(dead), timeout=60)
        leave = threading.Timer(0.1, deadline.cancel)  # nothing tells when a connection is being made
        leave.start()
        with pytest.raises(ClientLeft):
            own.fetch(web.url("/scan.png", "images.example"), deadline)
        leave.join()


def test_a_client_that_has_left_is_not_fetched_for(web):
    deadline = Deadline(60)
    deadline.cancel()
    with pytest.raises(ClientLeft):
        fetcher(web).fetch(web.serve("/scan.png", images.GLIOMA), deadline)
    assert web.requests == []


@pytest.mark.parametrize(
    "response", [b"", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000]
)
def test_what_is_no_response_of_a_web_server(web, response):
    def respond(handler) -> None:
        handler.close_connection = True
        handler.wfile.write(response)

    web.routes["/odd"] = respond
    with pytest.raises(SourceUnreachable):
        fetcher(web).fetch(web.url("/odd"), Deadline(60))


def test_ipv6():
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with web_server("::1") as web:
        own = fetcher(web, networks=(ip_network("::1/128"),))
        web.serve("/scan.png", images.GLIOMA)
        assert own.fetch(web.url("/scan.png", "[::1]"), Deadline(60)) == images.GLIOMA
        assert web.requests[0][1]["Host"] == f"[::1]:{web.port}"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def tls_server(authority: trustme.CA, name: str):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    seen: list[str] = []
    context.sni_callback = lambda connection, server_name, _: seen.append(server_name)
    return web_server(tls=context), seen


def test_https_by_name_at_the_pinned_address(authority, ca_file):
    server, server_names = tls_server(authority, "images.example")
    with server as web:
        web.serve("/scan.png", images.GLIOMA)
        own = fetcher(web, lookup=lookup_of("127.0.0.1"), ca_file=ca_file)
        assert own.fetch(web.url("/scan.png", "images.example"), Deadline(60)) == images.GLIOMA
        assert server_names == ["images.example"]
        assert web.requests[0][1]["Host"] == f"images.example:{web.port}"


def test_https_certificate_of_another_name(authority, ca_file):
    server, _ = tls_server(authority, "other.example")
    with server as web:
        web.serve("/scan.png", images.GLIOMA)
        own = fetcher(web, lookup=lookup_of("127.0.0.1"), ca_file=ca_file)
        with pytest.raises(SourceUnreachable):
            own.fetch(web.url("/scan.png", "images.example"), Deadline(60))
        assert web.requests == []


def test_https_certificate_of_an_unknown_authority(authority):
    server, _ = tls_server(authority, "images.example")
    with server as web:
        web.serve("/scan.png", images.GLIOMA)
        with pytest.raises(SourceUnreachable):
            fetcher(web, lookup=lookup_of("127.0.0.1")).fetch(web.url("/scan.png", "images.example"), Deadline(60))
        assert web.requests == []


def test_a_slow_drip_over_tls_ends_with_the_timeout(authority, ca_file):
    server, _ = tls_server(authority, "images.example")
    with server as web:
        web.drip("/slow", b"HTTP/1.1 200 OK\r\n\r\n", b"a")
        own = fetcher(web, lookup=lookup_of("127.0.0.1"), ca_file=ca_file, timeout=0.5)
        with pytest.raises(SourceTooSlow):
            own.fetch(web.url("/slow", "images.example"), Deadline(60))
