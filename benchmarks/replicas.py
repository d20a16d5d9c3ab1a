"""One of three replicas of the model server fails, or all are slow: failed requests, waits, and calls a request.

    python -m benchmarks.replicas

Real processes on addresses of loopback, 127.0.0.2 to 4, and the gateway's ModelClient, which sends requests at a steady
rate, whether responses come or not. docs/kubernetes.md has the same faults on a cluster, through the whole gateway.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from brain_tumor import contract
from brain_tumor.processes import free_port, listens
from gateway.deadline import Deadline
from gateway.model.client import ModelClient
from tests.gateway.fake_model_server import FakeModel, fake_model_server, metadata
from tests.processes import wait_until

HOSTS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
RATE = 20.0  # requests a second, of all gateways together
CALM_S = 10.0  # before the fault, so that the usual time is known
FAULT_S = 60.0
FIRST_S = 3.0
USUAL_S, SLOW_S = 0.05, 3.0  # the model's time for an image
DEADLINE_S = 10.0


class Server:
    """A model server as a process; it counts its predictions."""

    def __init__(self, host: str, port: int) -> None:
        context = multiprocessing.get_context("spawn")  # gRPC's threads do not survive a fork
        self._seconds = context.Value("d", USUAL_S)
        self.calls = context.Value("i", 0)
        self.process = context.Process(target=_serve, args=(host, port, self._seconds, self.calls), daemon=True)
        self.process.start()

    def send(self, number: int) -> None:
        assert self.process.pid
        os.kill(self.process.pid, number)

    def take(self, seconds: float) -> None:
        """Take this long for each prediction from now on."""
        self._seconds.value = seconds


def _serve(host: str, port: int, seconds, calls) -> None:
    def fault(signature, context) -> None:
        if signature == contract.PREDICT_SIGNATURE:
            with calls.get_lock():
                calls.value += 1
            time.sleep(seconds.value)

    with fake_model_server(port, host=host, threads=64) as server:
        server.model = FakeModel(metadata(height=299, width=299))
        server.fault = fault
        threading.Event().wait()


@dataclass
class Request:
    sent: float  # seconds from the fault
    seconds: float = 0.0
    error: str = ""


def drive(target: str, gateways: int, fault: Callable[[], None], repair: Callable[[], None]) -> list[Request]:
    """Send requests before, while and after the fault; return those from the fault on."""
    clients = [ModelClient(target, contract.MODEL_NAME) for _ in range(gateways)]
    images = np.random.default_rng(0).integers(0, 256, (1, 299, 299, 3), np.uint8)
    models = [client.get(Deadline(DEADLINE_S)) for client in clients]
    start = time.monotonic() + CALM_S

    def send(number: int, request: Request) -> None:
        began = time.monotonic()
        try:
            clients[number % gateways].predict(
                models[number % gateways], images, explain=False, deadline=Deadline(DEADLINE_S)
            )
        except Exception as error:
            request.error = type(error).__name__
        request.seconds = time.monotonic() - began

    requests: list[Request] = []
    faulty = False
    with ThreadPoolExecutor(300) as pool:
        for number in range(int((CALM_S + FAULT_S) * RATE)):
            at = number / RATE - CALM_S
            time.sleep(max(0.0, start + at - time.monotonic()))
            if at >= 0 and not faulty:
                fault()
                faulty = True
            requests.append(Request(at))
            pool.submit(send, number, requests[-1])
        repair()
    for client in clients:
        client.close()
    return [request for request in requests if request.sent >= 0]


def report(what: str, gateways: int, requests: list[Request], calls: int) -> None:
    first = [request for request in requests if request.sent < FIRST_S]
    later = [request for request in requests if request.sent >= FIRST_S]
    failed = [sum(bool(request.error) for request in part) for part in (first, later)]
    slowest = [max(request.seconds for request in part) for part in (first, later)]
    print(
        f"{what:22} {gateways:8} {failed[0]:6} of {len(first):4} {failed[1]:6} of {len(later):4} "
        f"{slowest[0]:9.2f} {slowest[1]:9.2f} {calls / len(requests):10.3f}",
        flush=True,
    )


@contextlib.contextmanager
def servers() -> Iterator[tuple[str, list[Server]]]:
    port = free_port()
    started = [Server(host, port) for host in HOSTS]
    try:
        for host in HOSTS:
            wait_until(lambda host=host: listens(port, host), f"the server on {host}")
        yield "ipv4:" + ",".join(f"{host}:{port}" for host in HOSTS), started
    finally:
        for server in started:
            server.process.kill()
            server.process.join()


def main() -> None:
    print(f"{RATE:.0f} requests a second, the fault lasts {FAULT_S:.0f} s, deadline {DEADLINE_S:.0f} s")
    print(
        f"{'fault':22} {'gateways':>8} {f'failed, first {FIRST_S:.0f} s':>14} {'failed later':>14} "
        f"{'slowest':>9} {'later':>9} {'calls a request':>10}"
    )
    for gateways in (1, 4, 10):
        with servers() as (target, started):

            def stop(started=started) -> None:
                started[0].send(signal.SIGSTOP)

            def resume(started=started) -> None:
                started[0].send(signal.SIGCONT)

            report("one of three stopped", gateways, *measured(started, target, gateways, stop, resume))
    for gateways in (1, 4):
        with servers() as (target, started):

            def slow(started=started) -> None:
                for server in started:
                    server.take(SLOW_S)

            report("all three slow", gateways, *measured(started, target, gateways, slow, lambda: None))


def measured(started: list[Server], target: str, gateways: int, fault, repair) -> tuple[list[Request], int]:
    """The requests from the fault on, and how many calls the servers received from then on."""
    before: list[int] = []

    def begin() -> None:
        before.append(sum(server.calls.value for server in started))
        fault()

    requests = drive(target, gateways, begin, repair)
    return requests, sum(server.calls.value for server in started) - before[0]


if __name__ == "__main__":
    main()
