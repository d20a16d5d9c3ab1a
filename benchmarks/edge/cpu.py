"""CPU milliseconds of a request in the gateway's processes, beside those of a bare WSGI gateway, in turn."""

import asyncio
import itertools
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.edge import uploads
from benchmarks.edge.polite import Client, Tally
from benchmarks.edge.servers import Server, gateway, model_server

GOAL = 1.25  # the gateway's CPU, as a multiple of the bare one's
_ROUNDS = 8
_REQUESTS = 125  # in each round
_WARM_UP = 100
_SIDE = 512  # pixels of the image


def play(log: Path, command: Sequence[str] = ()) -> None:
    """Print the table."""
    print(f"| image | clients | gateway | bare WSGI gateway | ratio of medians (goal {GOAL}) | of minima |")
    print("| --- " * 6 + "|", flush=True)
    requests = {mode: uploads.post(uploads.scan(_SIDE, mode)) for mode in ("L", "RGB")}
    with (
        model_server(delay=0, parallel=8) as model,
        gateway(model, log, command) as ours,
        gateway(model, log, [sys.executable, "-m", "benchmarks.edge.bare_gateway"]) as bare,
    ):
        for server in (ours, bare):
            asyncio.run(_ask(server, requests["RGB"], _WARM_UP, clients=8))
        for (mode, request), clients in itertools.product(requests.items(), (1, 8)):
            costs: dict[Server, list[float]] = {ours: [], bare: []}
            for _ in range(_ROUNDS):
                for server in (ours, bare):
                    costs[server].append(asyncio.run(_ask(server, request, _REQUESTS, clients)))
            medians = [statistics.median(costs[server]) for server in (ours, bare)]
            minima = [min(costs[server]) for server in (ours, bare)]
            print(
                f"| {mode} | {clients} | {medians[0]:.2f} ms (min {minima[0]:.2f}) "
                f"| {medians[1]:.2f} ms (min {minima[1]:.2f}) "
                f"| {medians[0] / medians[1]:.2f} | {minima[0] / minima[1]:.2f} |",
                flush=True,
            )


async def _ask(server: Server, request: bytes, requests: int, clients: int) -> float:
    """CPU milliseconds of a request."""
    tally, before = Tally(), server.cpu()

    async def one(share: int) -> None:
        client = Client(server.port, tally)
        for _ in range(share):
            await client.send(request)
        client.close()

    await asyncio.gather(*(one(requests // clients) for _ in range(clients)))
    if tally.outcomes[200] != tally.total:
        raise SystemExit(f"Not every request was served: {tally.describe()}")
    return 1e3 * (server.cpu() - before) / tally.total
