"""Other servers that could carry the gateway's application, each with the thinnest sensible adapter.

    .tools/edge-workers/bin/python -m benchmarks.edge.workers NAME

The adapters read a whole body in the event loop, at most as long as GATEWAY_UPLOAD_SECONDS, respond to /livez there,
and hand the rest to the application in a pool of threads. What they cannot do (time for headers, time for writing) the
servers would have to. docs/architecture.md has what came of the trial.
"""

import asyncio
import io
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

from brain_tumor.processes import ROOT

PACKAGES = ("uvicorn==0.54.0", "uvicorn-worker==0.4.0", "httptools==0.9.0", "aiohttp==3.14.5", "waitress==3.0.2")
FOLDER = ROOT / ".tools" / "edge-workers"
Headers = list[tuple[str, str]]
Answer = tuple[int, Headers, bytes]


def install() -> None:
    """Make the environment of the candidates, on top of the project's own packages."""
    if (FOLDER / "complete").exists():
        return
    print(f"Installing {', '.join(PACKAGES)} into {FOLDER}", file=sys.stderr)
    venv.create(FOLDER, with_pip=True, clear=True)
    python = FOLDER / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    (Path(site) / "project.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--ignore-installed", *PACKAGES], check=True)
    (FOLDER / "complete").touch()


def command(name: str) -> list[str]:
    """The command of a candidate."""
    return [str(FOLDER / "bin" / "python"), "-m", "benchmarks.edge.workers", name]


class Bridge:
    """The WSGI application in a pool of threads, for servers whose event loop has whole requests."""

    def __init__(self, app: Callable[..., Iterable[bytes]], threads: int, max_body: int, body_seconds: float) -> None:
        self._app = app
        self._pool = ThreadPoolExecutor(threads)
        self.max_body = max_body
        self.body_seconds = body_seconds

    async def respond(
        self, method: str, path: str, query: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> Answer:
        """The application's response; /livez is the loop's own."""
        if path == "/livez":
            return 200, [("content-type", "application/json"), ("content-length", "18")], b'{"status":"alive"}'
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": "gateway",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in headers:
            key = name.upper().replace("-", "_")
            if key not in ("CONTENT_LENGTH", "TRANSFER_ENCODING"):
                environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        environ["CONTENT_LENGTH"] = str(len(body))
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._call, environ)

    def _call(self, environ: dict[str, Any]) -> Answer:
        started: list[Any] = []
        result = self._app(environ, lambda status, headers, error=None: started.extend((status, headers)))
        try:
            body = b"".join(result)
        finally:
            if close := getattr(result, "close", None):
                close()
        return int(started[0][:3]), started[1], body


def problem(status: int) -> Answer:
    """What the adapter itself refuses."""
    body = b'{"type": "about:blank", "status": %d}' % status
    return status, [("content-type", "application/problem+json"), ("content-length", str(len(body)))], body


def asgi(bridge: Bridge) -> Callable[..., Awaitable[None]]:
    """An ASGI application around the bridge."""

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = bytearray()
        answer = None
        try:
            async with asyncio.timeout(bridge.body_seconds):
                while answer is None:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return
                    body += message.get("body", b"")
                    if len(body) > bridge.max_body:
                        answer = problem(413)
                    elif not message.get("more_body"):
                        break
        except TimeoutError:
            answer = problem(408)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        query = scope["query_string"].decode("latin-1")
        status, sent, content = answer or await bridge.respond(
            scope["method"], scope["raw_path"].decode("latin-1").partition("?")[0], query, headers, bytes(body)
        )
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in sent]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": content})

    return application


def create(settings: Any) -> Any:
    """The gateway's application."""
    from gateway.app import create_app
    from gateway.model.client import ModelClient

    return create_app(settings, ModelClient(settings.model_server, settings.model_name))


def gunicorn(settings: Any, worker: Any, load: Callable[[], Any]) -> None:
    """gunicorn with another worker class."""
    from gunicorn.app.base import BaseApplication

    class Server(BaseApplication):
        def load_config(self) -> None:
            options = {"bind": settings.bind, "workers": 1, "worker_class": worker, "keepalive": 75}
            options |= {"control_socket_disable": True, "worker_tmp_dir": "/dev/shm", "graceful_timeout": 30}
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return load()

    Server().run()


def main() -> None:
    from gateway.settings import Settings

    settings = Settings.from_env(os.environ)

    def bridge() -> Bridge:
        return Bridge(create(settings), settings.max_in_flight, settings.max_body, settings.upload_timeout)

    name = sys.argv[1]
    if name == "gasgi":
        gunicorn(settings, "asgi", lambda: asgi(bridge()))
    elif name.startswith("uvicorn"):
        from uvicorn_worker import UvicornWorker

        class Worker(UvicornWorker):
            CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
                "loop": "asyncio",
                "http": name.partition("-")[2] or "h11",
                "lifespan": "off",
            }

        gunicorn(settings, Worker, lambda: asgi(bridge()))
    elif name == "aiohttp":
        gunicorn(settings, "aiohttp.GunicornWebWorker", lambda: aiohttp_application(bridge()))
    elif name == "waitress":
        import waitress

        waitress.serve(
            create(settings),
            listen=settings.bind,
            threads=24,
            connection_limit=2000,
            asyncore_use_poll=True,
            max_request_body_size=settings.max_body,
            channel_timeout=30,
        )
    else:
        sys.exit(f"There is no candidate {name!r}.")


def aiohttp_application(bridge: Bridge) -> Any:
    """An application of aiohttp's around the bridge."""
    from aiohttp import web

    async def handle(request: Any) -> Any:
        try:
            async with asyncio.timeout(bridge.body_seconds):
                body = await request.read()
        except TimeoutError:
            status, headers, content = problem(408)
        except web.HTTPRequestEntityTooLarge:
            status, headers, content = problem(413)
        else:
            status, headers, content = await bridge.respond(
                request.method,
                request.rel_url.raw_path,
                request.rel_url.raw_query_string,
                request.headers.items(),
                body,
            )
        return web.Response(status=status, headers=headers, body=content)

    application = web.Application(client_max_size=bridge.max_body)
    application.router.add_route("*", "/{path:.*}", handle)
    return application


if __name__ == "__main__":
    main()
