"""A real HTTP server on loopback whose responses a test programs by path."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class WebServer:
    """Responds by ``routes``: each route takes the handler and writes its response."""

    port: int
    scheme: str
    host: str
    routes: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # (path, headers)
    stopping: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str, host: str | None = None) -> str:
        return f"{self.scheme}://{host or self.host}:{self.port}{path}"

    def serve(self, path: str, body: bytes, status: int = 200, **headers: str) -> str:
        """Respond to this path so; underscores in header names become hyphens. Returns the URL."""

        def respond(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(body)

        self.routes[path] = respond
        return self.url(path)

    def drip(self, path: str, start: bytes, drop: bytes) -> str:
        """Respond to this path with raw bytes that never end, a few at a time."""

        def respond(handler: BaseHTTPRequestHandler) -> None:
            handler.close_connection = True
            handler.wfile.write(start)
            while not self.stopping.wait(0.02):
                handler.wfile.write(drop)

        self.routes[path] = respond
        return self.url(path)


@contextmanager
def web_server(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[WebServer]:
    """A running server; ``port`` 0 takes a free one."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            web.requests.append((self.path, dict(self.headers)))
            route = web.routes.get(self.path)
            if route is None:
                self.send_error(404)
                return
            try:
                route(self)
            except OSError:  # the gateway hung up
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    kind = _ServerV6 if ":" in host else _Server
    server = kind((host, port), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    web = WebServer(server.server_address[1], "https" if tls else "http", host)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield web
    finally:
        web.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close waits for them

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that hangs up or refuses the certificate is part of the tests


class _ServerV6(_Server):
    address_family = socket.AF_INET6
