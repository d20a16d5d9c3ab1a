"""What the simulation predicts, beside what both tiers do as processes on this machine.

Gateways, and model servers that sleep as long as a model would compute, so that the machine's few cores are enough.
"""

import asyncio
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.capacity.replications import Estimate, milliseconds, over, percent
from benchmarks.capacity.scenario import Load, Scenario
from benchmarks.capacity.service import Outcome, simulate
from benchmarks.capacity.times import Times
from benchmarks.edge import uploads
from benchmarks.edge.polite import Client, Tally
from benchmarks.edge.servers import Server, gateway, model_server
from gateway.settings import Settings

_GATEWAYS, _MODEL_SERVERS = 2, 3
_SECONDS_EACH = 0.1  # a call of the model
_SHARES = (0.5, 0.7, 0.9, 1.5)  # of what the model servers can do
_WARM_UP = 5.0  # seconds
HEADER = "| load | requests/s | p50 predicted | measured | p99 predicted | measured | failed predicted | measured |"


@dataclass(frozen=True)
class Run:
    """One load, predicted and measured; seconds and shares."""

    p50: Estimate
    p99: Estimate
    failed: Estimate


def validate(times: Times, deadline: float, seconds: float, replications: int, log: Path) -> None:
    """Print a table with a row for each load.

    Args:
        times: The gateway's costs, measured on this machine.
        deadline: Seconds for a response.
        seconds: Of traffic in each replication, after the warm-up.
        replications: Of each load, simulated and measured.
        log: Takes the gateways' output.
    """
    print(f"{HEADER}\n{'| --- ' * 8}|", flush=True)
    capacity = _MODEL_SERVERS / _SECONDS_EACH
    costs = replace(times.costs(), model=_SECONDS_EACH, variation=0.0)
    for share in _SHARES:
        scenario = Scenario(
            Load(share * capacity),
            _GATEWAYS,
            _MODEL_SERVERS,
            1.0,
            1.0,
            costs,
            deadline,
            Settings().max_in_flight,
            _WARM_UP + seconds,
            _WARM_UP,
        )
        predicted = _run([simulate(scenario, seed) for seed in range(replications)])
        measured = _run([_measure(scenario, seed, log) for seed in range(replications)])
        print(
            f"| {100 * share:.0f} % | {scenario.load.rate:.0f} "
            f"| {milliseconds(predicted.p50)} | {milliseconds(measured.p50)} "
            f"| {milliseconds(predicted.p99)} | {milliseconds(measured.p99)} "
            f"| {percent(predicted.failed)} | {percent(measured.failed)} |",
            flush=True,
        )


def _run(outcomes: list[Outcome]) -> Run:
    return Run(
        over(outcomes, lambda outcome: outcome.percentile(50)),
        over(outcomes, lambda outcome: outcome.percentile(99)),
        over(outcomes, lambda outcome: outcome.failed),
    )


def _measure(scenario: Scenario, seed: int, log: Path) -> Outcome:
    with ExitStack() as stack:
        models = [stack.enter_context(model_server(_SECONDS_EACH)) for _ in range(scenario.model_servers)]
        settings = {
            "MODEL_SERVER_ADDRESS": "ipv4:" + ",".join(f"127.0.0.1:{model.port}" for model in models),
            "GATEWAY_DEADLINE_SECONDS": str(scenario.deadline),
        }
        servers = [stack.enter_context(gateway(models[0], log, **settings)) for _ in range(scenario.gateways)]
        return asyncio.run(_ask(scenario, servers, np.random.default_rng(seed)))


async def _ask(scenario: Scenario, servers: list[Server], generator: np.random.Generator) -> Outcome:
    """Poisson arrivals, each on a connection of its own to a gateway at random."""
    request = uploads.post(uploads.scan(512, "L"))
    found: list[tuple[float, float, int]] = []

    async def visit(port: int, moment: float) -> None:
        tally = Tally()
        began = time.perf_counter()
        response = await Client(port, tally, keep=False).send(request)
        found.append((moment, time.perf_counter() - began, response.status if response else 0))

    tasks, moment, start = [], 0.0, time.monotonic()
    while (moment := moment + generator.exponential(1 / scenario.load.rate)) < scenario.seconds:
        await asyncio.sleep(max(0.0, start + moment - time.monotonic()))
        port = servers[int(generator.integers(len(servers)))].port
        tasks.append(asyncio.create_task(visit(port, moment)))
    await asyncio.gather(*tasks)
    counted = np.array([entry for entry in found if entry[0] >= scenario.warm_up])
    return Outcome(counted[:, 0], counted[:, 1], counted[:, 2], [], [], [])
