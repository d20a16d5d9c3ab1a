"""One connection: whatever a client sends or does not, it has its response, and in time."""

import socket
import threading
import time

import pytest

from tests.brain_tumor import images
from tests.gateway.edge.raw import check_refusal, get, head, read_reply, send, whole
from tests.gateway.fake_model_server import hold_until, wait_for
from tests.gateway.gateway_process import GatewayProcess


@pytest.fixture(scope="module")
def gateway(start) -> GatewayProcess:
    return start(GATEWAY_MAX_BODY_BYTES="1000000")


@pytest.fixture(scope="module")
def impatient(start) -> GatewayProcess:
    seconds = dict.fromkeys(("HEADER", "UPLOAD", "WRITE", "LINGER"), "0.5")
    return start(GATEWAY_IDLE_SECONDS="1.5", **{f"GATEWAY_{name}_SECONDS": value for name, value in seconds.items()})


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


CHUNKED = head("/predict", "Transfer-Encoding: chunked")


def test_a_body_in_chunks(gateway):
    parts = [images.GLIOMA[begin : begin + 50] for begin in range(0, len(images.GLIOMA), 50)]
    reply = send(gateway, CHUNKED + b"".join(map(chunk, parts)) + b"0\r\n\r\n")
    assert (reply.status, reply.document["class"]) == (200, "glioma")


def test_headers_and_body_byte_by_byte(gateway):
    with gateway.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in whole():
            connection.sendall(bytes([byte]))
        assert read_reply(connection).status == 200


def test_requests_that_are_sent_before_their_turn(gateway):
    with gateway.connect() as connection:
        connection.sendall(whole() + get() + whole(images.NOTUMOR) + get("/nothing"))
        buffer = bytearray()
        replies = [read_reply(connection, buffer) for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 200, 200, 404]
    assert (replies[0].document["class"], replies[2].document["class"]) == ("glioma", "notumor")


def test_very_much_sent_before_its_turn_waits(gateway, model_server):
    release = threading.Event()
    model_server.fault = hold_until(release, "serving_default")
    large = whole(images.GLIOMA + bytes(900_000))
    with gateway.connect() as connection:
        sender = threading.Thread(target=connection.sendall, args=(large * 20,))
        sender.start()
        try:
            time.sleep(0.2)
            assert sender.is_alive()  # nobody takes it in
        finally:
            release.set()
        buffer = bytearray()
        assert [read_reply(connection, buffer).status for _ in range(20)] == [200] * 20
        sender.join(10)


def test_a_thousand_requests_ahead_are_answered_in_turn(gateway):
    with gateway.connect() as connection:
        sender = threading.Thread(target=connection.sendall, args=(get() * 1000,))
        sender.start()
        buffer = bytearray()
        assert {read_reply(connection, buffer).status for _ in range(1000)} == {200}
        sender.join(10)


def test_empty_lines_before_a_request_are_ignored(gateway):
    assert send(gateway, b"\r\n\r\n" + get()).status == 200


def test_expect_100_continue(gateway):
    with gateway.connect() as connection:
        connection.sendall(head("/predict", f"Content-Length: {len(images.GLIOMA)}", "Expect: 100-continue"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(images.GLIOMA)
        assert read_reply(connection).status == 200
    too_large = send(gateway, head("/predict", "Content-Length: 1000001", "Expect: 100-continue"))
    check_refusal(too_large, 413)


def test_http_1_0_and_close(gateway):
    for request in (head("/livez", method="GET", version="1.0"), get("/livez", "Connection: close")):
        with gateway.connect() as connection:
            connection.sendall(request)
            reply = read_reply(connection)
            assert (reply.status, reply.headers["connection"]) == (200, "close")
            assert connection.recv(1) == b""


def test_a_response_to_head_has_no_body(gateway):
    with gateway.connect() as connection:
        connection.sendall(head("/livez", method="HEAD") + get("/nothing"))
        received = b""
        while b"404" not in received:
            received += connection.recv(65536)
    assert b"alive" not in received


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50) + b"\r\n\r\n", 400),  # TLS
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (get("/livez", "a b: c"), 400),
        (CHUNKED + b"zz\r\n", 400),
        (CHUNKED + b"5\r\nabcdefgh\r\n", 400),
        (CHUNKED + b"-5\r\n", 400),
        (head("/predict", "Content-Length: five"), 400),
        (head("/predict", "Content-Length: -1"), 400),
        (head("/predict", "Content-Length: 3", "Content-Length: 4"), 400),
        (head("/predict", "Content-Length: 1000001"), 413),
        (CHUNKED + chunk(bytes(600_000)) * 2, 413),
        (get("/livez", "X-A: " + "a" * 20_000), 431),
        (get("/livez", *["a: b"] * 120), 431),
        (b"GET /livez HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: x\nX-A: b\r\n\r\n", 400),
        (head("/predict", "Transfer-Encoding: gzip"), 400),
        (head("/predict", "Transfer-Encoding: chunked", "Content-Length: 3"), 400),
        (head("/livez", method="GET", version="2.0"), 400),
        (head("/livez", method="GET", version="0.9"), 400),
    ],
    ids=lambda value: repr(value[:60]) if isinstance(value, bytes) else None,
)
def test_what_cannot_be_served_is_refused_with_a_problem(gateway, request_, status):
    detail = check_refusal(send(gateway, request_), status)
    if status == 413:
        assert "1,000,000 bytes" in detail
    if status == 431:
        assert "16 KiB" in detail


def test_the_request_s_own_id_is_in_its_refusal(gateway):
    reply = send(gateway, head("/predict", "Content-Length: 1000001", "X-Request-ID: my-id"))
    assert reply.headers["x-request-id"] == "my-id"


def test_a_body_of_tiny_chunks_is_refused(gateway):
    assert "tiny chunks" in check_refusal(send(gateway, CHUNKED + chunk(b"a") * 1000), 400)


def test_a_body_of_many_chunks_arrives_whole(gateway):
    data = images.GLIOMA + bytes(range(256)) * 800
    body = b"".join(chunk(data[begin : begin + 400]) for begin in range(0, len(data), 400))
    assert send(gateway, CHUNKED + body + b"0\r\n\r\n").document["class"] == "glioma"


def test_a_refusal_arrives_although_its_body_is_still_being_sent(gateway):
    size = 30_000_000  # far more than the buffers of sockets
    with gateway.connect() as connection:
        connection.sendall(head("/predict", f"Content-Length: {size}"))
        connection.sendall(bytes(size))  # breaks if the gateway closes
        check_refusal(read_reply(connection), 413)
        assert connection.recv(1) == b""


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/livez", 405), ("/predict?explain=maybe", 400)])
def test_an_early_error_keeps_the_connection(gateway, path, status):
    body = bytes(900_000)
    with gateway.connect() as connection:
        connection.sendall(head(path, f"Content-Length: {len(body)}") + body)
        check_refusal(read_reply(connection), status, close=False)
        connection.sendall(get())
        assert read_reply(connection).status == 200


def test_a_request_that_ends_early_is_told_so(gateway):
    for beginning in (b"GET /livez HT", head("/predict", "Content-Length: 1000") + b"half", CHUNKED + b"5\r\nab"):
        with gateway.connect() as connection:
            connection.sendall(beginning)
            connection.shutdown(socket.SHUT_WR)
            assert "ended early" in check_refusal(read_reply(connection), 400)
            connection.settimeout(3)  # far below the time that a connection lingers
            assert connection.recv(1) == b""


def test_a_client_that_says_and_sends_nothing_is_left(impatient):
    with impatient.connect() as connection:
        assert read_reply(connection) is None


@pytest.mark.parametrize("drip", [b"", b"a"], ids=["stalls", "drips"])
@pytest.mark.parametrize(
    "beginning",
    [b"GET /livez HTTP/1.1\r\nX-A: b", head("/predict", "Content-Length: 1000") + b"half", CHUNKED + b"ff\r\nab"],
    ids=["headers", "body", "chunk"],
)
def test_a_request_that_does_not_arrive_in_time_is_told_so(impatient, beginning, drip):
    with impatient.connect() as connection:
        connection.sendall(beginning)
        connection.settimeout(0.1)
        reply = None
        while reply is None:
            try:
                reply = read_reply(connection)
            except TimeoutError:
                connection.sendall(drip)
    assert "within 0.5 s" in check_refusal(reply, 408)


def test_an_idle_connection_is_closed(impatient):
    with impatient.connect() as connection:
        connection.sendall(get())
        assert read_reply(connection).status == 200
        began = time.monotonic()
        assert read_reply(connection) is None
        assert time.monotonic() - began > 1.0


def test_a_client_that_never_takes_its_responses_is_left(impatient):
    explained = images.encode(images.noise((512, 512)))
    request_ = head("/predict?explain=true", f"Content-Length: {len(explained)}") + explained
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", impatient.port))
        connection.settimeout(20)
        with pytest.raises(OSError, match=r"reset|pipe"):
            while True:
                connection.sendall(request_)


def test_an_old_connection_ends_with_a_response(start):
    gateway = start(GATEWAY_CONNECTION_SECONDS="0.5")
    with gateway.connect() as connection:
        opened = time.monotonic()
        kept = 0
        while (reply := _request(connection)).headers.get("connection") != "close":
            kept += 1
        assert reply.status == 200
        assert kept
        assert time.monotonic() - opened > 0.5
        assert connection.recv(1) == b""


def test_who_leaves_is_no_error_and_no_warning(gateway):
    for beginning in (b"", b"GET /livez HT", head("/predict", "Content-Length: 1000") + b"half", whole()):
        with gateway.connect() as connection:
            connection.sendall(beginning)
    wait_for(lambda: send(gateway, get()).status == 200)
    assert not [line for line in gateway.log.splitlines() if " ERROR " in line or " WARNING " in line], gateway.log


def _request(connection: socket.socket):
    connection.sendall(whole())
    return read_reply(connection)
