"""The loop of a process that forks for each task: it takes tasks from a socket, and tells how each fork ended.

A task comes as one message: its arguments as JSON, and three file descriptors: what to read, where to write, and a
socket of its own. On that socket the loop writes the fork's exit status, once it has ended; who closes the other end
does not want the result any more, and the loop ends the fork. The loop ends with its own socket, or when it has had
nothing to do for a while, to give its memory back.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

MAX_MESSAGE = 4096  # bytes
_IDLE_SECONDS = 300.0
Task: TypeAlias = Callable[[list[str], BinaryIO, BinaryIO], None]


@dataclass(frozen=True)
class _Fork:
    """A fork at work, and the socket that waits for its status."""

    process: int
    status: socket.socket


def serve(descriptor: int, task: Task, idle_seconds: float = _IDLE_SECONDS) -> None:
    """Fork for each task until nobody has one any more.

    Args:
        descriptor: A socket of the kind SOCK_SEQPACKET.
        task: What a fork does: it gets the arguments, what to read and where to write.
        idle_seconds: After how long without a task the loop ends.
    """
    control = socket.socket(fileno=descriptor)
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    forks: dict[int, _Fork] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while (events := selector.select(idle_seconds)) or forks:
            for key, _ in events:
                if key.fileobj is woken:
                    woken.recv(MAX_MESSAGE)
                elif key.fileobj is not control:
                    os.kill(key.data.process, signal.SIGKILL)  # it is not reaped, so the number is still its own
                    selector.unregister(key.fileobj)
                elif not _start(control, task, selector, forks, (woken, wakes)):
                    for fork in forks.values():
                        os.kill(fork.process, signal.SIGKILL)
                    return
            _reap(selector, forks)


def _start(
    control: socket.socket,
    task: Task,
    selector: selectors.BaseSelector,
    forks: dict[int, _Fork],
    others: tuple[socket.socket, socket.socket],
) -> bool:
    """Take a task and fork; False if there will be none any more."""
    message, descriptors, _, _ = socket.recv_fds(control, MAX_MESSAGE, 3)
    if not message or len(descriptors) != 3:
        return False
    source, target = os.fdopen(descriptors[0], "rb"), os.fdopen(descriptors[1], "wb")
    status = socket.socket(fileno=descriptors[2])
    with source, target:
        process = os.fork()
        if process == 0:
            _be_fork(task, json.loads(message), source, target, [control, status, *others], forks)
    fork = forks[process] = _Fork(process, status)
    selector.register(status, selectors.EVENT_READ, fork)
    return True


def _be_fork(
    task: Task,
    arguments: list[str],
    source: BinaryIO,
    target: BinaryIO,
    sockets: list[socket.socket],
    forks: dict[int, _Fork],
) -> None:
    """Do one task, with nothing of the others in hand, and end."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for opened in (*sockets, *(fork.status for fork in forks.values())):
            opened.close()
        task(arguments, source, target)
        target.flush()
        code = 0
    finally:
        os._exit(code)


def _reap(selector: selectors.BaseSelector, forks: dict[int, _Fork]) -> None:
    """Tell the status of every fork that has ended."""
    while forks:
        process, status = os.waitpid(-1, os.WNOHANG)
        if process == 0:
            return
        fork = forks.pop(process)
        with contextlib.suppress(KeyError):  # it was ended because nobody wanted it
            selector.unregister(fork.status)
        with contextlib.suppress(OSError):
            fork.status.send(b"%d" % os.waitstatus_to_exitcode(status))
        fork.status.close()
