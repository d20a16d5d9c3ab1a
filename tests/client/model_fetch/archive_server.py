"""An HTTP server with one archive, which does to its clients what servers and networks do."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class ArchiveServer:
    """What the server does.

    Attributes:
        cuts: After how many bytes of a body the connection is cut; one for each request, in their order.
        statuses: What is sent instead of the archive, likewise.
        ignores: Headers of requests that the server does not know.
        holds: It sends no more after a cut, and keeps the connection.
        shifts: How many bytes later than it was asked for a range begins, as Content-Range says; likewise.
        then: The content and the ETag from the second request on.
        paths: What was asked for.
        requests: The headers of the requests.
    """

    content: bytes
    etag: str = '"first"'
    url: str = ""
    authorization: str = ""
    redirect: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ignores: set[str] = field(default_factory=set)
    holds: bool = False
    shifts: list[int] = field(default_factory=list)
    then: tuple[bytes, str] | None = None
    paths: list[str] = field(default_factory=list)
    requests: list[Message] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    end: threading.Event = field(default_factory=threading.Event)

    def asked(self, header: str) -> list[str | None]:
        """A header of each request."""
        return [headers.get(header) for headers in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    archive: ArchiveServer

    def do_GET(self) -> None:
        archive, self.close_connection = self.archive, True
        archive.paths.append(self.path)
        archive.requests.append(self.headers)
        if archive.authorization and self.headers.get("Authorization") != archive.authorization:
            self._send(401)
        elif archive.statuses:
            self._send(archive.statuses.pop(0))
        elif archive.redirect:
            self._send(302, {"Location": archive.redirect})
        else:
            self._send_archive()

    def _send_archive(self) -> None:
        archive, start = self.archive, 0
        known = {name: None if name in archive.ignores else self.headers.get(name) for name in ("Range", "If-Range")}
        if known["Range"] and known["If-Range"] in (None, archive.etag):
            start = int(known["Range"].removeprefix("bytes=").removesuffix("-"))
            start += archive.shifts.pop(0) if archive.shifts else 0
        size = len(archive.content)
        if start >= size:
            return self._send(416)
        ranged = {"Content-Range": f"bytes {start}-{size - 1}/{size}"} if start else {}
        etag = {"ETag": archive.etag} if archive.etag else {}
        cut = archive.cuts.pop(0) if archive.cuts else None
        body = archive.content[start:]
        if archive.then:
            archive.content, archive.etag = archive.then
        self._send(206 if start else 200, {**archive.headers, **ranged, **etag}, body, cut)

    def _send(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"", cut: int | None = None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is not None and self.archive.holds:
            self.archive.held.set()
            self.archive.end.wait(60)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def archive_server(content: bytes, context: ssl.SSLContext | None = None) -> Iterator[ArchiveServer]:
    """Serve an archive, over TLS with a context, while the block runs."""
    archive = ArchiveServer(content)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"archive": archive}))
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    archive.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}/models/7.tar.gz"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield archive
    finally:
        archive.end.set()
        server.shutdown()
        thread.join()
        server.server_close()
