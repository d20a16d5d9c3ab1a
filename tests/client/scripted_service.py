"""A real HTTP server on loopback that speaks like the gateway, and fails as a test tells it to."""

import base64
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from zlib import crc32

from PIL import Image

CLASSES = ("glioma", "meningioma", "notumor", "pituitary")


@dataclass(frozen=True)
class Request:
    """What came in; ``number`` counts the requests of one path from 1."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    number: int


# Returns whether it has responded; otherwise the service responds as if nothing were wrong.
Behaviour = Callable[[BaseHTTPRequestHandler, Request], bool]


def healthy(handler: BaseHTTPRequestHandler, request: Request) -> bool:
    return False


@dataclass
class ScriptedService:
    port: int
    behaviour: Behaviour = healthy
    requests: list[Request] = field(default_factory=list)
    most_at_a_time: int = 0
    under_way: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def predictions(self) -> list[Request]:
        with self.lock:
            return [request for request in self.requests if request.path == "/predict"]


def prediction(body: bytes, query: dict[str, str] | None = None) -> dict[str, object]:
    """The response for these bytes, which is always the same."""
    query = query or {}
    chosen = crc32(body) % len(CLASSES)
    document: dict[str, object] = {
        "class": CLASSES[chosen],
        "probabilities": {name: 0.7 if number == chosen else 0.1 for number, name in enumerate(CLASSES)},
        "out_of_distribution": {"score": -9.5, "flag": False},
        "model": {"name": "brain-tumor", "version": 1, "precision": "int8"},
        "notice": "For research only.",
        "request_id": f"{crc32(body):08x}",
        "warnings": [],
    }
    if query.get("explain") == "true":
        document["explanation"] = {"class": CLASSES[chosen], "png": base64.b64encode(PNG).decode()}
    if query.get("view") == "true":
        document["view"] = {"png": base64.b64encode(PNG).decode()}
    if "frame" in query:
        window = {"source": "file", "center": 600.0, "width": 1200.0, "function": "LINEAR"}
        document["dicom"] = {"modality": "MR", "frame": int(query["frame"]), "frames": 24, "window": window}
    return document


def respond(handler: BaseHTTPRequestHandler, status: int, document: object, **headers: str) -> bool:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.send_header("Content-Type", "application/json" if status == 200 else "application/problem+json")
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)
    return True


def refuse(handler: BaseHTTPRequestHandler, status: int, detail: str = "Do this.", **headers: str) -> bool:
    document = {"type": "about:blank", "title": "No", "status": status, "detail": detail, "request_id": "abc"}
    return respond(handler, status, document, **headers)


def cut(handler: BaseHTTPRequestHandler) -> bool:
    """Close the connection without a response."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
    return True


@contextmanager
def scripted_service() -> Iterator[ScriptedService]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._handle(b"")

        def do_POST(self) -> None:
            self._handle(self.rfile.read(int(self.headers["Content-Length"])))

        def _handle(self, body: bytes) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            with service.lock:
                number = sum(request.path == parts.path for request in service.requests) + 1
                request = Request(parts.path, query, dict(self.headers), body, number)
                service.requests.append(request)
                service.under_way += 1
                service.most_at_a_time = max(service.most_at_a_time, service.under_way)
            try:
                if not service.behaviour(self, request):
                    self._respond(request)
            except OSError:  # the client has left
                self.close_connection = True
            finally:
                with service.lock:
                    service.under_way -= 1

        def _respond(self, request: Request) -> None:
            if request.path == "/predict":
                respond(self, 200, prediction(request.body, request.query))
            elif request.path == "/":
                model = {"name": "brain-tumor", "version": 1}
                respond(self, 200, {"name": "gateway", "version": "0.1.0", "model": model, "notice": "Research."})
            else:
                refuse(self, 404)

        def log_message(self, *args: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    service = ScriptedService(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield service
    finally:
        service.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # connections that clients keep open do not hold up the end of a test
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that leaves is part of the tests


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (4, 4), 128).save(buffer, "PNG")
    return buffer.getvalue()


PNG = _png()
