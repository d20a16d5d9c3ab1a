"""The gateway as a process of its own, and requests to it through real sockets, well formed or not."""

import http.client
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from brain_tumor.processes import gateway_command
from tests import processes


@dataclass(frozen=True)
class GatewayProcess:
    """A running gateway."""

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

    def send_raw(self, data: bytes) -> bytes:
        """Send these bytes and read until the gateway closes."""
        received = b""
        with self.connect() as connection:
            connection.sendall(data)
            while part := connection.recv(65536):
                received += part
        return received

    def responds(self, path: str) -> bool:
        """Whether the response's status is 200."""
        try:
            return self.request("GET", path)[0] == 200
        except OSError:
            return False


@contextmanager
def gateway_process(
    log: Path, model_server_port: int, command: Sequence[str] = tuple(gateway_command()), **settings: str
) -> Iterator[GatewayProcess]:
    """Run the gateway; ``settings`` are environment variables."""
    with processes.gateway(log, model_server_port, command, **settings) as server:
        yield GatewayProcess(server.port, server.process, server.log)
