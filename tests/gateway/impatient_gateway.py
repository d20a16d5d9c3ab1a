"""The gateway with time limits that a test can wait for: ``python -m tests.gateway.impatient_gateway``."""

import os
from functools import partial

from gunicorn.workers import gthread

from gateway.__main__ import load_app
from gateway.http.server import Server
from gateway.settings import Settings

if __name__ == "__main__":
    # Seconds for the rest of a body that the application did not read; gunicorn has no option for it.
    gthread.DEFAULT_WORKER_DATA_TIMEOUT = 0.2
    settings = Settings.from_env(os.environ)
    Server(settings, partial(load_app, settings), header_timeout=0.5).run()
