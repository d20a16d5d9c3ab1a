"""Clients that ask without pause, each over one connection, and what a window in the middle of that saw."""

import http.client
import threading
import time
from dataclasses import dataclass, field

from benchmarks.peers.running import Request, Server, ask

_REQUEST_TIMEOUT = 60.0  # seconds


class NoResponse(Exception):
    """A request failed under load; the message says how."""


@dataclass(frozen=True)
class Window:
    """What happened between two moments while all clients were asking.

    Attributes:
        latencies: Seconds of each response that ended in it.
        rate: Responses a second.
        cpu: The server's seconds of CPU for a response.
        own_cpu: This process' seconds of CPU for a response.
    """

    latencies: list[float]
    rate: float
    cpu: float
    own_cpu: float


@dataclass
class _Clients:
    """What the clients' threads share."""

    responses: list[tuple[float, float]] = field(default_factory=list)  # when it ended, and seconds it took
    errors: list[str] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)

    def run(self, server: Server, request: Request, number: int, warm: threading.Semaphore) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_REQUEST_TIMEOUT)
        try:
            while not self.enough.is_set():
                began = time.perf_counter()
                ask(connection, request, number)
                ended = time.perf_counter()
                self.responses.append((ended, ended - began))
                number += 1
                warm.release()
        except (OSError, http.client.HTTPException) as error:
            self.errors.append(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
            warm.release()
        finally:
            connection.close()


def drive(server: Server, request: Request, clients: int, seconds: float, warm_up: int) -> Window:
    """Ask from several clients; a window of steady load.

    The window begins when ``warm_up`` responses have come for each client, and the clients go on until after its end.

    Args:
        server: The server.
        request: What to send.
        clients: How many requests are under way at any time.
        seconds: Of the window.
        warm_up: Responses for each client before the window.

    Raises:
        NoResponse: A request failed, or none was answered within the window.
    """
    shared, warm = _Clients(), threading.Semaphore(0)
    threads = [
        threading.Thread(target=shared.run, args=(server, request, number, warm), daemon=True)
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in range(warm_up * clients):
            if not warm.acquire(timeout=_REQUEST_TIMEOUT) or shared.errors:
                break
        began, cpu, own = time.perf_counter(), server.cpu(), time.process_time()
        if not shared.errors:
            time.sleep(seconds)
        # In this order, since reading the server's CPU takes this process some, too.
        ended, own = time.perf_counter(), time.process_time() - own
        cpu = server.cpu() - cpu
    finally:
        shared.enough.set()
        for thread in threads:
            thread.join(_REQUEST_TIMEOUT)
    if shared.errors:
        raise NoResponse(f"with {clients} clients: {shared.errors[0]}")
    latencies = [took for at, took in shared.responses if began < at <= ended]
    if not latencies:
        raise NoResponse(f"with {clients} clients there was no response within {seconds:g} s: give more --seconds")
    return Window(latencies, len(latencies) / (ended - began), cpu / len(latencies), own / len(latencies))
