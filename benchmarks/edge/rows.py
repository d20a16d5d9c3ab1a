"""Rude clients beside polite ones: a row for each kind and number, with a gateway of its own."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.edge import uploads
from benchmarks.edge.polite import Tally, crowd, probe, visitors
from benchmarks.edge.servers import Server, gateway, model_server

HEADER = (
    "| clients | good traffic | no response | /livez p50, p99, no response | 200 p50, p99 | resident, peak | log "
    "| what the clients got |"
)
_SETTLE = 3.0  # seconds after which the polite clients come, beside the ramp


@dataclass(frozen=True)
class Row:
    """So many clients of one kind.

    Attributes:
        kind: Of ``rude.KINDS``.
        count: How many.
        ramp: Seconds within which they come.
        delay: Seconds of the model for an image.
    """

    kind: str
    count: int
    ramp: float = 1.0
    delay: float = 0.03


ROWS = (
    *(Row(kind, count) for kind in ("silent", "half_header", "half_body") for count in (24, 500)),
    *(Row(kind, count) for kind in ("drip_header", "drip_body") for count in (24, 500)),
    *(Row("never_read", 24), Row("never_read", 500, ramp=15, delay=0.002)),
    *(Row("pipelined", 24), Row("pipelined", 500, ramp=10)),
    *(Row("close_and_stay", count) for count in (3, 40, 500)),
    *(Row("no_body", 16), Row("no_body", 500)),
    *(Row("dead_url", 40, ramp=5), Row("dead_url", 500)),
    *(Row("malformed_chunk", count) for count in (24, 500)),
    *(Row("leaver", count) for count in (24, 500)),
    *(Row("large_image", 16, ramp=0.01), Row("large_image", 500, ramp=0.01)),
    *(Row("hoarder", 24), Row("hoarder", 100)),
)


def play(log: Path, seconds: float, only: Sequence[str], command: Sequence[str] = ()) -> None:
    """Print the table.

    Args:
        log: The file of the gateways' output.
        seconds: Of polite traffic in each row.
        only: Kinds to play, or none for all.
        command: Starts the gateway, where it is not this checkout's.
    """
    print(f"{HEADER}\n{'| --- ' * HEADER.count(' | ')}| --- |", flush=True)
    for row in ROWS:
        if not only or row.kind in only:
            seen = log.stat().st_size if log.exists() else 0
            with model_server(row.delay, parallel=1) as model, gateway(model, log, command) as server:
                line = asyncio.run(_play(row, server, seconds))
            noise = sum(1 for text in log.read_bytes()[seen:].splitlines() if b"ERROR" in text or b"Traceback" in text)
            print(line.replace("LOG", f"{noise} errors" if noise else "quiet"), flush=True)


async def _play(row: Row, server: Server, seconds: float) -> str:
    workers = server.workers()
    duration = row.ramp + _SETTLE + seconds
    arguments = (row.kind, row.count, server.port, duration + 2, row.ramp)
    rude = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.edge.rude", *map(str, arguments)), stdout=asyncio.subprocess.PIPE
    )
    peak = asyncio.create_task(_peak(server, duration))
    # large_image and leaver are over soon: the polite clients are there from the start
    await asyncio.sleep(1.0 if row.kind in ("large_image", "hoarder") else row.ramp + _SETTLE)
    requests = [uploads.post(uploads.image(size)) for size in ("8 kB", "8 kB", "300 kB")]
    kept, new, probes = await asyncio.gather(
        crowd(server.port, 6, 6, requests, seconds),
        visitors(server.port, 2, requests, seconds),
        probe(server.port, seconds),
    )
    output, _ = await rude.communicate()
    outcomes = json.loads(output) if output else {"the rude clients' process failed": 1}
    good = Tally(kept.outcomes + new.outcomes, {200: kept.seconds.get(200, []) + new.seconds.get(200, [])})
    good.losses, good.flaws = kept.losses + new.losses, kept.flaws + new.flaws
    restarted = "" if server.workers() == workers else " WORKER RESTARTED"
    others = "" if good.outcomes[200] == good.total else f" ({good.describe()})"
    return (
        f"| {row.count} {row.kind} | {good.good:.1f} % of {good.total}{others} | {good.lost} "
        f"| {probes.percentile(50):.1f}, {probes.percentile(99):.1f} ms, {probes.total - probes.outcomes[200]} "
        f"| {good.percentile(50):.0f}, {good.percentile(99):.0f} ms | {server.resident():.0f}, {await peak:.0f} MiB "
        f"| LOG{restarted} | {', '.join(f'{name}: {count}' for name, count in sorted(outcomes.items()))} |"
    )


async def _peak(server: Server, seconds: float) -> float:
    highest, until = 0.0, time.monotonic() + seconds
    while time.monotonic() < until:
        highest = max(highest, server.resident())
        await asyncio.sleep(0.25)
    return highest
