"""gunicorn's settings for the gateway: how one process serves many connections, and how it ends."""

# ruff: noqa: N999 - gunicorn's usual name for this file

import contextlib
import ctypes
import os
import sys
from pathlib import Path

from gateway.logs import configuration
from gateway.settings import Settings, SettingsError

try:
    _settings = Settings.from_env(os.environ)
except SettingsError as error:
    sys.exit(f"The gateway does not start: {error}")

bind = _settings.bind
wsgi_app = "gateway.wsgi:create()"
# One process a pod: the cluster scales by pods, and metrics, admission and the model's metadata live in one place.
workers = 1
worker_class = "gateway.worker.DeadlineWorker"
threads = _settings.threads
# gRPC does not survive a fork: the application is made in the worker.
preload_app = False
# Longer than a load balancer's idle timeout (60 s), which must be the one to end a connection.
keepalive = 75
timeout = 30  # seconds without a sign of life from the worker's main loop
graceful_timeout = 30  # seconds to answer what is in flight after SIGTERM
limit_request_line = 4094
limit_request_fields = 50
limit_request_field_size = 8190
# The worker's sign of life is a file: in memory, or a busy disk would kill the worker.
if Path("/dev/shm").is_dir():  # noqa: S108 - gunicorn makes the file there safely
    worker_tmp_dir = "/dev/shm"  # noqa: S108
control_socket_disable = True
# The application logs requests itself, without addresses and query strings.
accesslog = None
logconfig_dict = configuration(_settings.log_level, _settings.log_format)

_M_ARENA_MAX = -8  # of mallopt(3), glibc's malloc.h


def post_fork(server: object, worker: object) -> None:
    """Keep memory small: by default glibc gives each thread a heap of its own, and each keeps an image's room."""
    with contextlib.suppress(AttributeError, OSError):  # a C library without mallopt
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
