"""Runs tasks in forks of a process of its own: the caller's side of ``brain_tumor.image.fork_loop``.

The process starts with the first task, and again after it has ended, whatever the reason. Several threads may have
tasks at a time. Where there is no fork, or no way to pass files to another process, each task has a process of its own.
"""

import atexit
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, TypeAlias

WhileWanted: TypeAlias = Callable[[Callable[[], object]], AbstractContextManager[object]]
_ATTEMPTS = 2  # the process may end just when a task comes: because it was idle, or for want of memory
_SEND_SECONDS = 5.0
_LEAST_SECONDS = 0.001  # a socket that waits for no time at all says so by another error
_END_SECONDS = 2.0
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}  # a process with threads cannot be forked


class TookTooLong(Exception):
    """The task was not done in time."""


class ForkServer:
    """A process that forks for each task; safe to share between threads.

    Args:
        program: The Python program to run, with the number of a socket as its argument.
    """

    def __init__(self, program: Path) -> None:
        self._program = program
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def run(
        self, arguments: Sequence[str], source: BinaryIO, target: BinaryIO, seconds: float, while_wanted: WhileWanted
    ) -> int:
        """Run a task.

        Args:
            arguments: What the task is told.
            source: What it reads, from its current position on.
            target: Where it writes.
            seconds: Time limit by the clock.
            while_wanted: A context manager for the work, which calls what it is given when nobody wants it any more.

        Returns:
            The exit status as ``subprocess`` has it; for one that nobody wants any more it is not zero.

        Raises:
            TookTooLong: The time is over; the task has been ended.
        """
        message = json.dumps(list(arguments)).encode()
        for _ in range(_ATTEMPTS):
            ours, theirs = socket.socketpair()
            unwanted = threading.Event()
            with ours, while_wanted(functools.partial(_hang_up, ours, unwanted)):
                with theirs:
                    self._send(message, [source.fileno(), target.fileno(), theirs.fileno()])
                ours.settimeout(max(seconds, _LEAST_SECONDS))
                try:
                    status = ours.recv(16)
                except TimeoutError:
                    raise TookTooLong from None
                except OSError:
                    status = b""
            if status:
                return int(status)
            if unwanted.is_set():
                break
        return -signal.SIGKILL

    def close(self) -> None:
        """End the process, and what it works on."""
        with self._lock:
            self._stop()

    def _send(self, message: bytes, descriptors: Sequence[int]) -> None:
        with self._lock:
            for attempt in range(_ATTEMPTS):
                control = self._control or self._start()
                try:
                    socket.send_fds(control, [message], descriptors)
                except OSError:  # it has ended, or it hangs
                    self._stop()
                    if attempt + 1 == _ATTEMPTS:
                        raise
                else:
                    return

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(_SEND_SECONDS)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - its own program, and no text of a client's
                [sys.executable, "-I", str(self._program), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, **_ENVIRONMENT},
            )
        self._control = ours
        atexit.register(self.close)
        return ours

    def _stop(self) -> None:
        process, control = self._process, self._control
        self._process = self._control = None
        atexit.unregister(self.close)
        if control is not None:
            control.close()
        if process is not None:
            try:
                process.wait(_END_SECONDS)  # without its socket it ends by itself
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _forget(self) -> None:
        """A fork of the caller begins without the process, which is not its child."""
        self._lock = threading.Lock()
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.returncode = 0  # of another process's child nobody can wait for
        self._process = self._control = None


class OneProcessEach:
    """The same where there is no fork: a process for each task."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def run(
        self, arguments: Sequence[str], source: BinaryIO, target: BinaryIO, seconds: float, while_wanted: WhileWanted
    ) -> int:
        """Run a task, as ``ForkServer`` does."""
        with (
            subprocess.Popen(  # noqa: S603 - its own program, and no text of a client's
                [sys.executable, "-I", str(self._program), *arguments],
                stdin=source,
                stdout=target,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **_ENVIRONMENT},
            ) as process,
            while_wanted(process.kill),
        ):
            try:
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                raise TookTooLong from None
            finally:
                process.kill()  # does nothing to one that has ended


def runner(program: Path) -> ForkServer | OneProcessEach:
    """What this system has: forks, or a process for each task."""
    has_forks = sys.platform == "linux" and hasattr(socket, "send_fds")
    return ForkServer(program) if has_forks else OneProcessEach(program)


def _hang_up(connection: socket.socket, unwanted: threading.Event) -> None:
    """Let both sides see that nobody waits any more; it may be closed already."""
    unwanted.set()
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
