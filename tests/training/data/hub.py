"""A Kaggle on loopback for the tests that fetch: the API call and the storage it redirects to, and their failures.

The hosts are constants of kagglesdk. So the hub is also the HTTP proxy of the command under test, which calls
http://localhost/api/... with KAGGLE_API_ENVIRONMENT=LOCALHOST: requests to any host arrive here.
"""

import base64
import contextlib
import hashlib
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CALL = "/api/v1/datasets.DatasetApiService/DownloadDataset"
STORAGE = "http://storage.localhost"  # the real one is another host than the API, too
_CHUNK = 1 << 16


@dataclass
class Request:
    """A request of the client."""

    method: str
    url: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Hub:
    """The fake's state, which tests change while it runs.

    Attributes:
        url: Where it listens.
        archives: The archive of each version; other versions are not found.
        status: The API's status for every call; 302 redirects to the storage.
        silent: Whether the API sends no response.
        cut: Bytes of an archive after which the connection ends.
        stalls: Whether the connection stays open after these bytes, and silent.
        flip: Whether one bit of the archive is sent changed.
        page: Whether a log-in page is sent instead of the archive.
        requests: All requests that arrived, for any host.
        closing: Set when the hub stops.
    """

    url: str
    archives: dict[int, bytes]
    status: int = 302
    silent: bool = False
    cut: int | None = None
    stalls: bool = False
    flip: bool = False
    page: bool = False
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def environment(self, home: Path) -> dict[str, str]:
        """The whole environment of the command under test: without credentials, and with the hub as its only proxy."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "KAGGLEHUB_CACHE": str(home / "cache"),
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "http_proxy": self.url,
            "https_proxy": self.url,
        }

    def downloads(self) -> list[str]:
        """The Range of each request for an archive, in order; "" for all of it."""
        return [request.headers.get("Range", "") for request in self.requests if request.url.startswith(STORAGE)]


def archive(folder: Path, filler: int = 3 << 20) -> bytes:
    """A ZIP of the images of ``folder`` and of a file of ``filler`` bytes.

    kagglehub writes pieces of 1 MiB; the filler makes the download larger than one piece.
    """
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("filler.bin", bytes(filler))
        for path in sorted(folder.rglob("*.jpg")):
            made.write(path, path.relative_to(folder).as_posix())
    return stream.getvalue()


@contextmanager
def hub(archives: dict[int, bytes]) -> Iterator[Hub]:
    """Serve ``archives`` until the end of the block."""

    class Handler(_Handler):
        state: Hub

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Handler.state = Hub(f"http://127.0.0.1:{server.server_port}", archives)
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        try:
            yield Handler.state
        finally:
            Handler.state.closing.set()
            server.shutdown()
            serving.join()


class _Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # the client stopped, or resumes without reading the response
            super().handle()

    def do_POST(self) -> None:  # the API
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._note(call)
        if self.state.silent:
            self.state.closing.wait(60)
        version = call.get("datasetVersionNumber")
        status = self.state.status
        if urlsplit(self.path).path != CALL or (status == 302 and version not in self.state.archives):
            status = 404
        body = b"" if status == 302 else json.dumps({"code": status, "message": "the hub says no"}).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"{STORAGE}/{call['ownerSlug']}/{call['datasetSlug']}/{version}.zip?signed=1")
        else:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:  # the storage
        self._note({})
        if not self.path.startswith(STORAGE):
            self.send_error(404)
            return
        if self.state.page:
            self._send(200, b"<html>log in</html>", {"Content-Type": "text/html"})
            return
        whole = self.state.archives[int(Path(urlsplit(self.path).path).stem)]
        headers = {
            "Content-Type": "application/zip",
            "Accept-Ranges": "bytes",
            "X-Goog-Hash": f"crc32c=AAAAAA==,md5={base64.b64encode(hashlib.md5(whole).digest()).decode()}",
        }
        if self.state.flip:
            whole = whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:]
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if "Range" in self.headers:
            headers["Content-Range"] = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
        self._send(206 if "Range" in self.headers else 200, whole[start:], headers, start)

    def do_CONNECT(self) -> None:  # to a host by TLS: noted, and refused
        self._note({})
        self.send_error(403)

    def _note(self, body: dict[str, Any]) -> None:
        self.state.requests.append(Request(self.command, self.path, dict(self.headers), body))

    def _send(self, status: int, body: bytes, headers: dict[str, str], start: int = 0) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        sent = len(body) if self.state.cut is None else max(0, self.state.cut - start)
        for offset in range(0, min(sent, len(body)), _CHUNK):
            self.wfile.write(body[offset : min(offset + _CHUNK, sent)])
        if self.state.cut is not None:
            if self.state.stalls:
                self.state.closing.wait(60)
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass
