"""Requests byte by byte, and what comes back."""

import json
import socket
from dataclasses import dataclass

from tests.brain_tumor import images
from tests.gateway.gateway_process import GatewayProcess


@dataclass(frozen=True)
class Reply:
    """One response as it came over the wire."""

    status: int
    headers: dict[str, str]  # by names in lower case
    body: bytes

    @property
    def document(self) -> dict[str, object]:
        return json.loads(self.body)


def head(path: str = "/predict", *lines: str, method: str = "POST", version: str = "1.1") -> bytes:
    """The headers of a request."""
    return "\r\n".join(
        [f"{method} {path} HTTP/{version}", "Host: x", "Content-Type: image/png", *lines, "", ""]
    ).encode()


def whole(body: bytes = images.GLIOMA, *lines: str) -> bytes:
    """A request for a prediction."""
    return head("/predict", f"Content-Length: {len(body)}", *lines) + body


def get(path: str = "/livez", *lines: str) -> bytes:
    return head(path, *lines, method="GET")


def read_reply(connection: socket.socket, buffer: bytearray | None = None) -> Reply | None:
    """Read one response; None if the connection ends without one. Bytes of the next one stay in the buffer."""
    buffer = bytearray() if buffer is None else buffer
    while b"\r\n\r\n" not in buffer:
        if not _more(connection, buffer):
            assert not buffer, bytes(buffer)
            return None
    text, _, rest = bytes(buffer).partition(b"\r\n\r\n")
    first, *lines = text.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    buffer[:] = rest
    length = int(headers["content-length"])
    while len(buffer) < length:
        assert _more(connection, buffer), "a response was cut short"
    body = bytes(buffer[:length])
    del buffer[:length]
    return Reply(int(first.split()[1]), headers, body)


def send(gateway: GatewayProcess, data: bytes) -> Reply | None:
    """Send these bytes and read one response."""
    with gateway.connect() as connection:
        connection.sendall(data)
        return read_reply(connection)


def check_refusal(reply: Reply | None, status: int, close: bool = True) -> str:
    """Check that a response is a complete problem; return its detail."""
    assert reply is not None
    assert reply.status == status, reply
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.document["status"] == status
    assert reply.document["request_id"] == reply.headers["x-request-id"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert (reply.headers.get("connection") == "close") is close
    return str(reply.document["detail"])


def _more(connection: socket.socket, buffer: bytearray) -> bool:
    part = connection.recv(1 << 16)
    buffer += part
    return bool(part)
