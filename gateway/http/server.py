"""gunicorn as the gateway runs it: its options, and a worker that limits headers and the age of connections.

It uses gunicorn's interface for custom applications: the options that matter here are set here, from ``Settings``.
gunicorn's command line and GUNICORN_CMD_ARGS are not read.
"""

import contextlib
import ctypes
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import ThreadWorker

from gateway.deadline import SocketDeadline
from gateway.http.logs import configuration
from gateway.settings import Settings

HEADER_TIMEOUT = 10.0  # seconds for the headers of a request
KEEPALIVE = 75  # seconds; above a load balancer's idle timeout (60 s), which must be the one to end a connection
GRACEFUL_TIMEOUT = 30  # seconds to respond to what is in flight after SIGTERM
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - gunicorn makes its file there safely
_M_ARENA_MAX = -8  # of mallopt(3), glibc's malloc.h


class Server(BaseApplication):
    """gunicorn with one worker process, which serves the application.

    Args:
        settings: The settings, read once at the start.
        load: Makes the application; called in the worker.
        header_timeout: Seconds for the headers of a request.
    """

    def __init__(
        self, settings: Settings, load: Callable[[], WSGIApplication], header_timeout: float = HEADER_TIMEOUT
    ) -> None:
        self.settings = settings
        self.header_timeout = header_timeout
        self._load = load
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options; gunicorn calls this at the start and after SIGHUP."""
        for name, value in _options(self.settings).items():
            self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        """Make the application; gunicorn calls this in each new worker."""
        return self._load()


class DeadlineWorker(ThreadWorker):
    """gunicorn's worker with threads, which ends connections that are old or whose client does not send its headers.

    By itself it waits for headers as long as the client likes, with a thread for each: as many silent clients as
    threads would keep even the probes out. And it keeps a busy connection for ever, so that a client which keeps its
    connections would never meet a replica that was added. Bodies have a limit of their own.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._current = threading.local()
        self._connection_age: float = self.app.settings.connection_age
        self._header_timeout: float = self.app.header_timeout

    def handle(self, conn: Any) -> Any:
        """Serve a connection's next request; gunicorn calls this in a thread."""
        if not hasattr(conn, "opened"):
            conn.opened = time.monotonic()
        with SocketDeadline(self._header_timeout, socket.SHUT_RD) as self._current.headers:
            self._current.headers.watch(conn.sock)
            return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Respond to a request whose headers are there; ``handle`` calls this."""
        self._current.headers.stop()
        if time.monotonic() - conn.opened > self._connection_age:
            req.force_close()  # the response says so, and the client connects anew
        return super().handle_request(req, conn)


def _options(settings: Settings) -> dict[str, Any]:
    """gunicorn's options, by their names in its documentation."""
    options = {
        "bind": settings.bind,
        # One process a pod: the cluster scales by pods, and this process holds all metrics, slots and metadata.
        "workers": 1,
        "worker_class": DeadlineWorker,
        "threads": settings.threads,
        # gRPC does not survive a fork: the application is made in the worker.
        "preload_app": False,
        "keepalive": KEEPALIVE,
        "timeout": 30,  # seconds without a sign of life from the worker's main loop
        "graceful_timeout": GRACEFUL_TIMEOUT,
        "limit_request_line": 4094,  # bytes
        "limit_request_fields": 50,
        "limit_request_field_size": 8190,  # bytes
        "control_socket_disable": True,
        # The application logs requests itself, without addresses and query strings.
        "accesslog": None,
        "logconfig_dict": configuration(settings.log_level, settings.log_format),
        "post_fork": _keep_memory_small,
    }
    if _SHARED_MEMORY.is_dir():
        # The worker's sign of life is a file: in memory, or a busy disk would kill the worker.
        options["worker_tmp_dir"] = str(_SHARED_MEMORY)
    return options


def _keep_memory_small(server: object, worker: object) -> None:
    """Let few heaps serve all threads: by default glibc gives each thread one, and each keeps an image's room."""
    with contextlib.suppress(AttributeError, OSError):  # a C library without mallopt
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
