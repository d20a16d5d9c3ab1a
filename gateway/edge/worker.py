"""gunicorn's worker that runs the edge: gunicorn starts it, watches over it, and tells it when to end."""

import asyncio
import os
import resource
import signal
import socket
import sys
from functools import partial

from gunicorn.util import parse_address
from gunicorn.workers.base import Worker

from gateway.edge.binds import listening
from gateway.edge.connection import Connection
from gateway.edge.crowd import Crowd
from gateway.logs.hooks import log_loop_exception
from gateway.logs.stderr import StderrPipe

_BEAT_SECONDS = 1.0  # between two signs of life for gunicorn
# Threads that decode give way to the event loop after this time; Python's default of 5 ms, for each of many threads,
# keeps probes waiting for tenths of a second.
_SWITCH_SECONDS = 0.0005
_MAX_FILES = 1 << 16  # open files that are asked for; each connection is one


class EdgeWorker(Worker):
    """Serves with one event loop, which runs ``self.wsgi``: a function that makes the ``Crowd`` in the loop.

    Attributes:
        stderr: The pipe in place of file descriptor 2; gunicorn's master sets it before the fork.
    """

    stderr: StderrPipe

    def init_process(self) -> None:
        """Set the worker up and serve; gunicorn calls this in the new process."""
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        sys.setswitchinterval(_SWITCH_SECONDS)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < _MAX_FILES:
            wanted = _MAX_FILES if hard == resource.RLIM_INFINITY else min(_MAX_FILES, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        super().init_process()

    def init_signals(self) -> None:
        """Let the event loop take the signals, not whatever code runs when they come."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        self._loop.add_signal_handler(signal.SIGTERM, self._end)
        for number in (signal.SIGINT, signal.SIGQUIT):
            self._loop.add_signal_handler(number, self._end_quickly)
        self._loop.add_signal_handler(signal.SIGUSR1, self.log.reopen_files)
        self._loop.add_signal_handler(signal.SIGWINCH, lambda: None)
        signal.signal(signal.SIGABRT, self.handle_abort)  # from gunicorn, where the loop hangs

    def run(self) -> None:
        """Serve until gunicorn says stop."""
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self.stderr.capture(self._loop)
        self._loop.set_exception_handler(log_loop_exception)
        crowd: Crowd = self.wsgi()
        admin = _socket_names(crowd.limits.admin_bind)
        servers = [
            await self._loop.create_server(
                partial(Connection, crowd, is_admin=listener.sock.getsockname() in admin),
                sock=listener.sock,
                backlog=self.cfg.backlog,
            )
            for listener in self.sockets
        ]
        beat = self._loop.create_task(self._beat())
        await self._stop.wait()
        for server in servers:
            server.close()
        # Before the master's own patience ends.
        patience = self.cfg.graceful_timeout - _BEAT_SECONDS - crowd.tracing.closing_seconds
        await crowd.drain(patience if self.alive else 0)
        beat.cancel()
        crowd.handler.close()
        crowd.tracing.close()

    async def _beat(self) -> None:
        while True:
            self.notify()
            if self.ppid != os.getppid():  # gunicorn's master is gone
                self._end()
            await asyncio.sleep(_BEAT_SECONDS)

    def _end(self) -> None:
        self._stop.set()

    def _end_quickly(self) -> None:
        self.alive = False
        self._stop.set()


def _socket_names(bind: str) -> set[object]:
    """The names of the sockets that listen at an address of the settings."""
    # Not by their place among the sockets: systemd may hand over others.
    names: set[object] = set()
    for address in listening(bind) if bind else ():
        host, port = parse_address(address)
        names.update(name for *_, name in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    return names
