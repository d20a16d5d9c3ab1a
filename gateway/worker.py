"""gunicorn's gthread worker, with limits on how long a request's headers may take, and how long a connection is kept.

By itself it waits for headers as long as the client likes, with a thread for each: as many silent clients as threads
would keep even the probes out. And it keeps a busy connection for ever, so that a client which keeps its connections
would never come to a replica that was added.
"""

import os
import socket
import threading
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from gateway.deadline import SocketDeadline
from gateway.settings import Settings

SECONDS = 10.0  # for the headers of a request


class DeadlineWorker(ThreadWorker):
    """Ends connections that are old or whose client does not go on; bodies have a limit of their own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._current = threading.local()
        self._connection_age = Settings.from_env(os.environ).connection_age

    def handle(self, conn: Any) -> Any:
        """Serve a connection's next request; gunicorn calls this in a thread."""
        if not hasattr(conn, "opened"):
            conn.opened = time.monotonic()
        with SocketDeadline(SECONDS, socket.SHUT_RD) as self._current.headers:
            self._current.headers.watch(conn.sock)
            return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request whose headers are there; ``handle`` calls this."""
        self._current.headers.stop()
        if time.monotonic() - conn.opened > self._connection_age:
            req.force_close()  # the answer says so, and the client connects anew
        return super().handle_request(req, conn)
