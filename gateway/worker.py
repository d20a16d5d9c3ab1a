"""gunicorn's gthread worker, with a limit on the time that a client may take to send a request's headers.

By itself it waits for them as long as the client likes, with a thread for each: as many silent clients as threads
would keep even the probes out.
"""

import socket
import threading
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from gateway.deadline import SocketDeadline

SECONDS = 10.0  # for the headers of a request


class DeadlineWorker(ThreadWorker):
    """Ends connections whose client does not go on; the body has a limit of its own (``picture_source``)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._current = threading.local()

    def handle(self, conn: Any) -> Any:
        """Serve a connection's next request; gunicorn calls this in a thread."""
        with SocketDeadline(SECONDS, socket.SHUT_RD) as self._current.headers:
            self._current.headers.watch(conn.sock)
            return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request whose headers are there; ``handle`` calls this."""
        self._current.headers.stop()
        return super().handle_request(req, conn)
