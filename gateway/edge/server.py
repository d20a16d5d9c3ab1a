"""gunicorn as the gateway runs it: the process that starts, watches and ends the one that serves.

It uses gunicorn's interface for custom applications: the options that matter here are set here, from ``Settings``.
gunicorn's command line and GUNICORN_CMD_ARGS are not read.
"""

import contextlib
import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication

from gateway.edge.binds import listening
from gateway.edge.crowd import Crowd
from gateway.edge.worker import EdgeWorker
from gateway.logs.stderr import StderrPipe
from gateway.settings import Settings

GRACEFUL_TIMEOUT = 30  # seconds to respond to what is in flight after SIGTERM
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - gunicorn makes its file there safely
# Parameters of mallopt(3), in glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BLOCK = 1 << 20  # bytes


class Server(BaseApplication):
    """gunicorn with one worker process, which serves the application.

    Args:
        settings: The settings, read once at the start.
        logging: A configuration for ``logging.config.dictConfig``.
        load_crowd: Makes what ``EdgeWorker`` runs; called in the worker's event loop.
    """

    def __init__(self, settings: Settings, logging: dict[str, Any], load_crowd: Callable[[], Crowd]) -> None:
        self.settings = settings
        self._logging = logging
        self._load_crowd = load_crowd
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options; gunicorn calls this at the start and after SIGHUP."""
        for name, value in _options(self.settings, self._logging).items():
            self.cfg.set(name, value)

    def load(self) -> Callable[[], Crowd]:
        """What the worker calls to have what it runs; gunicorn calls this in each new worker."""
        return self._load_crowd


def _options(settings: Settings, logging: dict[str, Any]) -> dict[str, Any]:
    """gunicorn's options, by their names in its documentation."""
    options = {
        "bind": [address for bind in (settings.bind, settings.admin_bind) if bind for address in listening(bind)],
        # One process a pod: the cluster scales by pods, and this process holds all metrics, slots and metadata.
        "workers": 1,
        "worker_class": EdgeWorker,
        # gRPC does not survive a fork: the application is made in the worker.
        "preload_app": False,
        "timeout": 30,  # seconds without a sign of life from the worker's main loop
        "graceful_timeout": GRACEFUL_TIMEOUT,
        "control_socket_disable": True,
        # The application logs requests itself, without addresses and query strings.
        "accesslog": None,
        "logconfig_dict": logging,
        "pre_fork": _make_stderr_pipe,
        "post_fork": _keep_memory_small,
        "child_exit": _read_last_words,
    }
    if _SHARED_MEMORY.is_dir():
        # The worker's sign of life is a file: in memory, or a busy disk would kill the worker.
        options["worker_tmp_dir"] = str(_SHARED_MEMORY)
    return options


def _make_stderr_pipe(server: object, worker: EdgeWorker) -> None:
    worker.stderr = StderrPipe()


def _read_last_words(server: object, worker: EdgeWorker) -> None:
    worker.stderr.finish()


def _keep_memory_small(server: object, worker: object) -> None:
    """Make glibc give back what large images took.

    By default each thread has a heap of its own, which keeps an image's room, and the size from which a block is mapped
    by itself, and so unmapped when it is freed, grows up to 32 MiB with the blocks that were freed.
    """
    with contextlib.suppress(AttributeError, OSError):  # a C library without mallopt
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 2)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE_BLOCK)
