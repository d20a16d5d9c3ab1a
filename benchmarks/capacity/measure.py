"""Service times, measured here: both tiers as processes, asked by this one. Shared machines are noisy."""

import asyncio
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import psutil

from benchmarks.capacity.times import Times
from benchmarks.edge import uploads
from benchmarks.edge.polite import Client, Tally, visitors
from benchmarks.edge.servers import START_TIMEOUT, Server, gateway, model_server
from brain_tumor import contract
from brain_tumor.processes import SHIPPED_MODEL, free_port, listens, model_server_command, running, wait_until_up
from gateway.deadline import Deadline
from gateway.model.channel import Replica
from gateway.model.client import ModelClient

_REQUESTS = 400
_CLIENTS = 8
_CALLS = 200
_CONNECTIONS = 200
_OVERLOAD = 150.0  # requests a second
_OVERLOAD_SECONDS = 5.0
_FAR = 60.0  # seconds


def measure(log: Path, model: Path = SHIPPED_MODEL) -> Times:
    """Measure all service times.

    Args:
        log: Takes the output of the processes.
        model: The folder of the model's version folders.
    """
    request = uploads.post(uploads.scan(512, "L"))
    with model_server(delay=0, parallel=8) as quick, gateway(quick, log) as server:
        asyncio.run(_serve(server, request, 50))
        served = _cpu_of(server, lambda: asyncio.run(_serve(server, request, _REQUESTS)))
    settings = {"GATEWAY_MAX_IN_FLIGHT": "1", "GATEWAY_DEADLINE_SECONDS": "1"}
    with model_server(delay=0.9) as slow, gateway(slow, log, **settings) as server:
        asyncio.run(_refuse(server, request, 2.0))
        refused = _cpu_of(server, lambda: asyncio.run(_refuse(server, request, _OVERLOAD_SECONDS)))
    with _portable(model, log) as server:
        calls, model_cpu = _calls(server)
        connection_cpu, connection_memory = _connections(server)
    network = max(0.0, statistics.median(calls) - model_cpu)
    return Times(
        gateway_cpu=1e3 * served,
        refusal_cpu=1e3 * refused,
        model_cpu=1e3 * model_cpu,
        model_variation=_variation(calls),
        network=1e3 * network,
        connection_cpu=1e3 * connection_cpu,
        connection_memory=connection_memory,
    )


def _cpu_of(server: Server, ask: Callable[[], int]) -> float:
    """Seconds of CPU that the server spends on each of the requests that are asked."""
    before = server.cpu()
    requests = ask()
    return (server.cpu() - before) / requests


async def _serve(server: Server, request: bytes, requests: int) -> int:
    tally = Tally()

    async def one() -> None:
        client = Client(server.port, tally, keep=False)
        for _ in range(requests // _CLIENTS):
            await client.send(request)

    await asyncio.gather(*(one() for _ in range(_CLIENTS)))
    if tally.outcomes[200] != tally.total:
        raise SystemExit(f"Not every request was served: {tally.describe()}. Try again on a quieter machine.")
    return tally.total


async def _refuse(server: Server, request: bytes, seconds: float) -> int:
    return (await visitors(server.port, _OVERLOAD, [request], seconds)).total


@contextmanager
def _portable(model: Path, log: Path) -> Iterator[Server]:
    port = free_port()
    flags = ("--tensorflow_intra_op_parallelism=1", "--grpc_max_threads=192")
    with log.open("ab") as output, running(model_server_command(model, *flags, port=port), {}, output) as process:
        wait_until_up(process, lambda: listens(port), START_TIMEOUT)
        yield Server(port, psutil.Process(process.pid), log)


def _calls(server: Server) -> tuple[list[float], float]:
    """The seconds of lone calls, and the model server's seconds of CPU for each."""
    client = ModelClient(f"127.0.0.1:{server.port}", contract.MODEL_NAME)
    model = client.get(Deadline(_FAR))
    shape = (1, model.metadata.image.height, model.metadata.image.width, 3)
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)

    def call() -> float:
        began = time.perf_counter()
        client.predict(model, image, explain=False, deadline=Deadline(_FAR))
        return time.perf_counter() - began

    for _ in range(_CALLS // 10):
        call()
    before = server.cpu()
    seconds = [call() for _ in range(_CALLS)]
    cpu = (server.cpu() - before) / _CALLS
    client.close()
    return seconds, cpu


def _variation(seconds: list[float]) -> float:
    """The coefficient of variation, without the slowest tenth: pauses of the machine are not the model's."""
    usual = sorted(seconds)[: len(seconds) * 9 // 10]
    return statistics.stdev(usual) / statistics.fmean(usual)


def _connections(server: Server) -> tuple[float, float]:
    """Seconds of CPU of both ends, and bytes of the client, for each connection as the gateway makes it.

    In a process of its own, whose memory holds nothing else.
    """
    command = [sys.executable, "-m", __name__, str(server.port)]
    before = server.cpu()
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_FAR)
    cpu, memory = map(float, done.stdout.split())
    return cpu + (server.cpu() - before) / _CONNECTIONS, memory


def _open_connections(port: int) -> None:
    process = psutil.Process()
    replicas = [Replica(f"ipv4:127.0.0.1:{port}") for _ in range(_CONNECTIONS + 1)]
    _connect(replicas[0])
    memory, cpu = process.memory_info().rss, _own_cpu()
    for replica in replicas[1:]:
        _connect(replica)
    print((_own_cpu() - cpu) / _CONNECTIONS, (process.memory_info().rss - memory) / _CONNECTIONS)
    for replica in replicas:
        replica.close()


def _connect(replica: Replica) -> None:
    grpc.channel_ready_future(replica._channel).result(_FAR)


def _own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    _open_connections(int(sys.argv[1]))
