"""The load doubles within a minute: how long the HPAs need to follow, and what becomes of the requests meanwhile."""

import math
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.capacity.manifests import Tier
from benchmarks.capacity.pods import SERVED
from benchmarks.capacity.replications import Estimate, estimate
from benchmarks.capacity.scaling import Delays
from benchmarks.capacity.scenario import Load, Scenario
from benchmarks.capacity.service import Outcome, simulate

BEFORE, WITHIN, AFTER = 60.0, 60.0, 240.0  # seconds
_WARM_UP = 30.0
_BIN = 5.0  # seconds that are looked at together
_BAD = 0.01  # the share of requests that fail in a bad one


@dataclass(frozen=True)
class Doubling:
    """What happens; counts are of the whole service.

    Attributes:
        lag: Seconds from the beginning of the growth to the end of the last seconds in which more than 1 % fail;
            infinite where that lasts to the end.
        failed: The share of requests that fail, from the beginning of the growth on.
        refused: How many requests are refused or late.
        waiting: The most requests that wait for a slot at a time.
        gateways: Pods at the end.
        model_servers: Pods at the end.
    """

    lag: Estimate
    failed: Estimate
    refused: Estimate
    waiting: Estimate
    gateways: Estimate
    model_servers: Estimate


def double(
    scenario: Scenario, tiers: tuple[Tier, Tier], delays: Delays, seeds: range, most_requests: float
) -> Doubling:
    """Simulate it; the HPAs may make as many pods as they want.

    Args:
        scenario: The service before, with a steady load.
        tiers: Both tiers, whose HPAs follow.
        delays: What keeps the HPAs back.
        seeds: One for each replication.
        most_requests: About as many are simulated, of a part of the service where the whole has more.
    """
    rate = scenario.load.rate
    growing = replace(
        scenario,
        load=Load(rate, 2 * rate, BEFORE, WITHIN),
        seconds=BEFORE + WITHIN + AFTER,
        warm_up=_WARM_UP,
        tiers=(_unbounded(tiers[0], scenario.gateways), _unbounded(tiers[1], scenario.model_servers)),
        delays=delays,
    )
    part, parts = growing.slice(most_requests)
    outcomes = [simulate(part, seed) for seed in seeds]
    grown = [outcome.status[outcome.arrived >= BEFORE] for outcome in outcomes]
    return Doubling(
        lag=_estimate([lag(outcome) for outcome in outcomes]),
        failed=estimate([float(np.mean(status != SERVED)) for status in grown]),
        refused=estimate([parts * float(np.sum(status != SERVED)) for status in grown]),
        waiting=estimate([parts * max(outcome.waiting) for outcome in outcomes]),
        gateways=estimate([parts * outcome.gateways[-1][1] for outcome in outcomes]),
        model_servers=estimate([parts * outcome.model_servers[-1][1] for outcome in outcomes]),
    )


def lag(outcome: Outcome) -> float:
    """Seconds as of ``Doubling.lag``; 0 if hardly any fail."""
    bins = np.floor((outcome.arrived - BEFORE) / _BIN).astype(int)
    last = int(bins.max(initial=0))
    bad = [
        number
        for number in range(last + 1)
        if np.any(inside := bins == number) and np.mean(outcome.status[inside] != SERVED) > _BAD
    ]
    if not bad:
        return 0.0
    return math.inf if bad[-1] == last else (bad[-1] + 1) * _BIN


def _estimate(lags: list[float]) -> Estimate:
    return Estimate(math.inf, math.inf) if any(map(math.isinf, lags)) else estimate(lags)


def _unbounded(tier: Tier, replicas: int) -> Tier:
    return replace(tier, autoscaling=replace(tier.autoscaling, most=max(tier.autoscaling.most, 8 * replicas)))
