"""The load steps up at once: when each way of scaling has enough replicas, what it refuses until then, what it costs.

Today's HPAs follow CPU. They are compared with those of kube-config/components/scale-by-waiting, which follow the
requests at hand as well, and with CPU at a lower target, which buys room for a step in advance.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.capacity.autoscaler import TOLERANCE
from benchmarks.capacity.manifests import Tier
from benchmarks.capacity.plan import replicas
from benchmarks.capacity.pods import SERVED
from benchmarks.capacity.replications import Estimate, estimate, short
from benchmarks.capacity.scaling import Delays
from benchmarks.capacity.scenario import Load, Scenario
from benchmarks.capacity.service import Outcome, simulate
from benchmarks.capacity.times import Times
from gateway.settings import Settings

BEFORE, AFTER = 120.0, 900.0  # seconds: until the step, and from it to the end
_WARM_UP = 60.0
_USUAL, _ROOM = 70, 50  # percent of the CPU request: the base's target, and a lower one
Tiers = tuple[Tier, Tier]
History = list[tuple[float, int, int]]


@dataclass(frozen=True)
class Way:
    """A way of scaling: its name, and both tiers with their HPAs."""

    name: str
    tiers: Tiers


@dataclass(frozen=True)
class Step:
    """What one way of scaling makes of one step.

    Attributes:
        way: Its name.
        factor: The step: how many times the load before it.
        before: Model servers before the step.
        right: Gateways and model servers that the load after it needs.
        gateways_after: Seconds from the step until so many gateways serve; infinite if they never do.
        model_servers_after: The same of the model servers.
        failed: Requests that are refused or late, from the step on.
        share: Their share of all from then on.
        gateway_minutes: Minutes of all gateways together, from the step on.
        model_server_minutes: The same of the model servers.
    """

    way: str
    factor: float
    before: int
    right: tuple[int, int]
    gateways_after: Estimate
    model_servers_after: Estimate
    failed: Estimate
    share: Estimate
    gateway_minutes: Estimate
    model_server_minutes: Estimate


def ways(today: Tiers, name: str, other: Tiers) -> list[Way]:
    """What is compared.

    Args:
        today: Both tiers as kube-config/base has them.
        name: Of another way.
        other: Both tiers as that has them.
    """
    room = tuple(replace(tier, autoscaling=replace(tier.autoscaling, target=_ROOM)) for tier in today)
    return [
        Way(f"CPU, {_USUAL} % (base)", today),
        Way(name, other),
        Way(f"CPU, {_ROOM} %", (room[0], room[1])),
    ]


def step(
    way: Way, rate: float, factor: float, times: Times, deadline: float, cores: str, delays: Delays, seeds: range
) -> Step:
    """Simulate a step; the HPAs may make as many pods as they want.

    Args:
        way: How the tiers scale.
        rate: Requests a second before the step.
        factor: The step.
        times: What a request costs.
        deadline: Seconds for a response.
        cores: Whether pods get the CPU of their ``request``, or of their ``limit``.
        delays: What keeps the HPAs back.
        seeds: One for each replication.
    """
    gateway, model_server = way.tiers
    gateway_cores, model_cores = (tier.cpu_request if cores == "request" else tier.cpu_limit for tier in way.tiers)
    speed = model_cores / math.ceil(model_cores)  # as of pods.Cores
    scenario = Scenario(
        load=Load(rate, factor * rate, BEFORE, 0.0),
        gateways=replicas(rate, times.gateway_cpu / 1e3, gateway),
        model_servers=replicas(rate, times.model_cpu / 1e3, model_server),
        gateway_cores=gateway_cores,
        model_cores=model_cores,
        costs=times.costs(),
        deadline=deadline,
        slots=Settings().max_in_flight,
        seconds=BEFORE + AFTER,
        warm_up=_WARM_UP,
        tiers=(_unbounded(gateway), _unbounded(model_server)),
        delays=delays,
    )
    right = _right(factor * rate, times, way.tiers, speed, scenario.slots)
    outcomes = [simulate(scenario, seed) for seed in seeds]
    statuses = [outcome.status[outcome.arrived >= BEFORE] for outcome in outcomes]

    def over(figure: Callable[[Outcome], float]) -> Estimate:
        values = [figure(outcome) for outcome in outcomes]
        return Estimate(math.inf, math.inf) if any(map(math.isinf, values)) else estimate(values)

    return Step(
        way=way.name,
        factor=factor,
        before=scenario.model_servers,
        right=right,
        gateways_after=over(lambda outcome: seconds_until(outcome.gateways, right[0])),
        model_servers_after=over(lambda outcome: seconds_until(outcome.model_servers, right[1])),
        failed=estimate([float(np.sum(status != SERVED)) for status in statuses]),
        share=estimate([float(np.mean(status != SERVED)) for status in statuses]),
        gateway_minutes=over(lambda outcome: minutes(outcome.gateways)),
        model_server_minutes=over(lambda outcome: minutes(outcome.model_servers)),
    )


def _right(rate: float, times: Times, tiers: Tiers, speed: float, slots: int) -> tuple[int, int]:
    """The replicas for a steady load: CPU at the base's target, and a slot for each request at work (Little's law).

    An HPA leaves its target as it is where it is missed by no more than its tolerance, so fewer by as much are right.
    """
    target = round(_USUAL * (1 + TOLERANCE))
    at_work = rate * (times.gateway_cpu + times.network + times.model_cpu / speed) / 1e3
    gateway, model_server = (replace(tier, autoscaling=replace(tier.autoscaling, target=target)) for tier in tiers)
    return (
        max(replicas(rate, times.gateway_cpu / 1e3, gateway), math.ceil(at_work / slots)),
        replicas(rate, times.model_cpu / 1e3, model_server),
    )


def seconds_until(history: History, replicas: int) -> float:
    """Seconds from the step until so many replicas serve; 0 if they did before, infinite if they never do."""
    ends = [*(moment for moment, _, _ in history[1:]), math.inf]
    for (begin, _, serving), end in zip(history, ends, strict=True):
        if end > BEFORE and serving >= replicas:
            return max(0.0, begin - BEFORE)
    return math.inf


def minutes(history: History) -> float:
    """Minutes of all replicas together from the step to the end, those that are starting included."""
    ends = [*(moment for moment, _, _ in history[1:]), BEFORE + AFTER]
    spent = [pods * max(0.0, end - max(begin, BEFORE)) for (begin, pods, _), end in zip(history, ends, strict=True)]
    return sum(spent) / 60


def table(steps: Sequence[Step]) -> str:
    """A row for each step and way, in Markdown."""
    lines = [
        "| step | scales by | model servers | right after | gateways right after | refused or late | of all "
        "| model server minutes | gateway minutes |\n" + "| --- " * 9 + "|"
    ]
    lines += [
        f"| x{one.factor:g} | {one.way} | {one.before} to {one.right[1]} | {_seconds(one.model_servers_after)} "
        f"| {_seconds(one.gateways_after)} | {_number(one.failed)} | {_number(one.share, 100)} % "
        f"| {_number(one.model_server_minutes)} | {_number(one.gateway_minutes)} |"
        for one in steps
    ]
    return "\n".join(lines)


def _seconds(value: Estimate) -> str:
    return f"{_number(value)} s" if math.isfinite(value.mean) else f"not within {AFTER:.0f} s"


def _number(value: Estimate, times: float = 1.0) -> str:
    half = f" ± {short(times * value.half)}" if math.isfinite(value.half) else ""
    return f"{_short(times * value.mean)}{half}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or not value else short(value)


def _unbounded(tier: Tier) -> Tier:
    return replace(tier, autoscaling=replace(tier.autoscaling, most=10_000))
