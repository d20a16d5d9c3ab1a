"""A server while it runs: from its start to its first response, its CPU time, its memory, and its end."""

import contextlib
import http.client
import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.peers.catalogue import Tier
from benchmarks.peers.environments import Unavailable

START_TIMEOUT = 300.0  # seconds until the first response
_STOP_TIMEOUT = 20.0  # seconds
_POLL_INTERVAL = 0.05  # seconds; each poll asks for a prediction


@dataclass(frozen=True)
class Request:
    """What is sent again and again: one body for each image."""

    path: str
    media_type: str
    bodies: Sequence[bytes]


def ask(connection: http.client.HTTPConnection, request: Request, number: int) -> bytes:
    """Send the request's body with this number, modulo their count; the body of the response.

    Raises:
        OSError, http.client.HTTPException: There is no response, or its status is not 200.
    """
    body = request.bodies[number % len(request.bodies)]
    connection.request("POST", request.path, body, {"Content-Type": request.media_type})
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise http.client.HTTPException(f"status {response.status}")
    return content


class Server:
    """The processes of a server.

    Args:
        leaders: The process of each tier, with a session of its own.
        port: Of HTTP.
    """

    def __init__(self, leaders: Sequence[psutil.Process], port: int) -> None:
        self._leaders = leaders
        self.port = port

    def processes(self) -> list[psutil.Process]:
        """All processes: the leaders', their descendants, and who is in their sessions without a parent there."""
        sessions = {leader.pid for leader in self._leaders}
        found = {child.pid: child for child in self._leaders}
        for leader in self._leaders:
            with contextlib.suppress(psutil.NoSuchProcess):
                found |= {child.pid: child for child in leader.children(recursive=True)}
        for process in psutil.process_iter():
            with contextlib.suppress(OSError):
                if os.getsid(process.pid) in sessions:
                    found.setdefault(process.pid, process)
        return list(found.values())

    def cpu(self) -> float:
        """Seconds of CPU of all processes, those that have ended and were waited for included."""
        total = 0.0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += sum(process.cpu_times()[:4])  # user, system, and the same of children that have ended
        return total

    def memory(self) -> int:
        """Bytes resident: the sum of each process' proportional set size (PSS), which counts a shared page once."""
        total = 0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss
        return total

    def alive(self) -> bool:
        """Whether every tier's first process runs."""
        return all(leader.is_running() and leader.status() != psutil.STATUS_ZOMBIE for leader in self._leaders)


@contextlib.contextmanager
def running(tiers: Sequence[Tier], port: int, request: Request, log: Path) -> Iterator[tuple[Server, float]]:
    """Start all tiers at once; the server, and the seconds until its first response.

    Args:
        tiers: What to start; the block's end ends it.
        port: Of HTTP.
        request: A prediction.
        log: Takes the output of the processes.

    Raises:
        Unavailable: It did not respond.
    """
    with log.open("ab") as output, contextlib.ExitStack() as stack:
        started = time.perf_counter()
        popened = [
            subprocess.Popen(
                tier.command,
                cwd=tier.folder,
                env=dict(tier.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            for tier in tiers
        ]
        server = Server([psutil.Process(process.pid) for process in popened], port)
        stack.callback(_end, server, popened)
        _wait_until_it_responds(server, request, started + START_TIMEOUT, log)
        yield server, time.perf_counter() - started


def _wait_until_it_responds(server: Server, request: Request, deadline: float, log: Path) -> None:
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=START_TIMEOUT)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            json.loads(ask(connection, request, 0))
            return
        if not server.alive():
            raise Unavailable(f"it ended instead of starting; its output is in {log}")
        if time.perf_counter() > deadline:
            raise Unavailable(f"it did not respond within {START_TIMEOUT:.0f} s; its output is in {log}")
        time.sleep(_POLL_INTERVAL)


def _end(server: Server, leaders: Sequence[subprocess.Popen[bytes]]) -> None:
    """SIGTERM to the leaders, as a service manager sends it, and SIGKILL to all that is left after a while."""
    processes = server.processes()
    for leader in leaders:
        leader.terminate()
    deadline = time.monotonic() + _STOP_TIMEOUT
    for leader in leaders:
        with contextlib.suppress(subprocess.TimeoutExpired):
            leader.wait(max(0.0, deadline - time.monotonic()))
    for process in processes:  # psutil knows a process by its start too, so no other one that got its number is hit
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    for leader in leaders:
        leader.wait()
    psutil.wait_procs(processes, _STOP_TIMEOUT)
