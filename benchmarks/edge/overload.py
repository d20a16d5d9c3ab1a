"""More requests than can be served: by workers who wait, and in the open, whatever becomes of the requests before."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from benchmarks.edge import uploads
from benchmarks.edge.crowding import capacity
from benchmarks.edge.polite import Client, Tally, probe, visitors
from benchmarks.edge.servers import Server, gateway, model_server

UPLOADS, WORKERS = 1000, 50
DEADLINE = 5  # seconds
_LONGEST = 90.0  # seconds for the uploads
_TIMES = 10  # the capacity, offered in the open


def play(log: Path, seconds: float, command: Sequence[str] = ()) -> None:
    """Print what became of the uploads, and of the open loop."""
    print(
        f"| {UPLOADS} uploads by {WORKERS} workers, limit {DEADLINE} s | outcomes | took | served | 200 p50, p99 "
        "| 503 p50, p99 |"
    )
    print("| --- " * 6 + "|", flush=True)
    for delay in (0.03, 0.5):
        with (
            model_server(delay) as model,
            gateway(model, log, command, GATEWAY_DEADLINE_SECONDS=str(DEADLINE)) as server,
        ):
            print(asyncio.run(_uploads(server, delay)), flush=True)
    print("\n| open loop | capacity | goodput | outcomes | 503 p50, p99 | 503 within 0.2 s | /livez p99 | resident |")
    print("| --- " * 8 + "|", flush=True)
    for size in uploads.SAMPLES[:2]:
        with model_server() as model, gateway(model, log, command) as server:
            print(asyncio.run(_open_loop(server, size, seconds)), flush=True)


async def _uploads(server: Server, delay: float) -> str:
    tally, todo = Tally(), deque(range(UPLOADS))
    request = uploads.post(uploads.image("8 kB"))
    start = time.monotonic()

    async def work() -> None:
        client = Client(server.port, tally)
        while todo and time.monotonic() < start + _LONGEST:
            todo.popleft()
            response = await client.send(request)
            if response and response.status == 503:
                await asyncio.sleep(int(response.headers.get(b"retry-after", b"1")))
        client.close()

    await asyncio.gather(*(work() for _ in range(WORKERS)))
    took = time.monotonic() - start
    served = 100 * tally.outcomes[200] * delay / took
    late = sum(seconds > DEADLINE for seconds in tally.seconds.get(200, ()))
    return (
        f"| model of {1e3 * delay:.0f} ms | {tally.describe()}{f'; {late} of the 200 late' if late else ''} "
        f"| {took:.1f} s | {served:.0f} % of what the model can "
        f"| {tally.percentile(50):.0f}, {tally.percentile(99):.0f} ms "
        f"| {tally.percentile(50, 503):.0f}, {tally.percentile(99, 503):.0f} ms |"
    )


async def _open_loop(server: Server, size: str, seconds: float) -> str:
    request = uploads.post(uploads.image(size))
    able = await capacity(server.port, request)
    start = time.monotonic()
    tally, probes = await asyncio.gather(
        visitors(server.port, _TIMES * able, [request], seconds), probe(server.port, seconds)
    )
    goodput = tally.outcomes[200] / (time.monotonic() - start)
    refused = tally.seconds.get(503, [])
    quick = 100 * sum(value < 0.2 for value in refused) / max(1, len(refused))
    return (
        f"| {size}, {_TIMES * able:.0f}/s | {able:.1f}/s | {goodput:.1f}/s, {100 * goodput / able:.0f} % "
        f"| {tally.describe()} | {tally.percentile(50, 503):.0f}, {tally.percentile(99, 503):.0f} ms | {quick:.1f} % "
        f"| {probes.percentile(99):.0f} ms | {server.resident():.0f} MiB |"
    )
