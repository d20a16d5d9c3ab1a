"""48 clients on kept connections who together want twice what the gateway can do."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.edge import uploads
from benchmarks.edge.polite import NO_RESPONSE, Client, Tally, crowd, probe
from benchmarks.edge.servers import gateway, model_server

HEADER = "| images, deadline | capacity | offered | outcomes | no response | 200 p50, p99 | 503 p50, p99 | /livez p99 |"
CLIENTS = 48
DEADLINE = "1"  # second: the queue of those who wait is longer than that, so that some must be refused
_CALIBRATION = 6.0  # seconds
_WORKERS = 12  # clients that find the capacity, each of which waits for its response: below the gateway's slots


async def capacity(port: int, request: bytes, seconds: float = _CALIBRATION, workers: int = _WORKERS) -> float:
    """Responses of status 200 a second that a few clients get, who do nothing but ask."""
    tally, until = Tally(), time.monotonic() + seconds

    async def work() -> None:
        client = Client(port, tally)
        while time.monotonic() < until:
            await client.send(request)
        client.close()

    await asyncio.gather(*(work() for _ in range(workers)))
    return tally.outcomes[200] / seconds


async def press(port: int, size: str, offered: float, seconds: float, probed: int = 0) -> str:
    """Offer so many requests a second; return the columns of the table from the outcomes on.

    Args:
        port: Where the clients connect, a gateway or a proxy.
        size: Of ``uploads.SAMPLES``.
        offered: Requests a second of all clients together.
        seconds: How long.
        probed: The gateway's port, where it is not ``port``.
    """
    requests = [uploads.post(uploads.image(size))]
    tally, probes = await asyncio.gather(
        crowd(port, CLIENTS, offered, requests, seconds), probe(probed or port, seconds)
    )
    return (
        f"{tally.describe()} | {tally.outcomes[NO_RESPONSE]} "
        f"| {tally.percentile(50):.0f}, {tally.percentile(99):.0f} ms "
        f"| {tally.percentile(50, 503):.0f}, {tally.percentile(99, 503):.0f} ms | {probes.percentile(99):.0f} ms |"
    )


def play(log: Path, seconds: float, command: Sequence[str] = ()) -> None:
    """Print the table."""
    print(f"{HEADER}\n{'| --- ' * 8}|", flush=True)
    for size in uploads.SAMPLES:
        for deadline in (DEADLINE, "10"):
            with model_server() as model, gateway(model, log, command, GATEWAY_DEADLINE_SECONDS=deadline) as server:
                print(f"| {size}, {deadline} s {asyncio.run(_play(server.port, size, seconds))}", flush=True)


async def _play(port: int, size: str, seconds: float) -> str:
    able = await capacity(port, uploads.post(uploads.image(size)))
    return f"| {able:.1f}/s | {2 * able:.0f}/s | {await press(port, size, 2 * able, seconds)}"
