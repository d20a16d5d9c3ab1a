"""Both tiers under a load, simulated: Poisson arrivals, gateways with slots and deadlines, model servers, and HPAs.

Each request goes to a gateway at random, as kube-proxy chooses, and its call to the next model server in this
gateway's turn, as ``gateway/model/replicas.py`` does. Not simulated: repeated calls, faults, and heavy images.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.capacity.autoscaler import Autoscaler
from benchmarks.capacity.loop import Loop
from benchmarks.capacity.pods import REFUSED, SERVED, Draws, Gateway, Pod, Request
from benchmarks.capacity.scaling import Group
from benchmarks.capacity.scenario import Scenario
from benchmarks.capacity.scraping import Scrapes

_SCRAPES = 1  # a stream of random numbers


@dataclass(frozen=True)
class Outcome:
    """What became of the requests that came after the warm-up.

    Attributes:
        arrived: Moments, in seconds.
        seconds: How long each took.
        status: 200, 503 (refused) or 504 (too late); 0 where the simulation ended before.
        gateways: ``(moment, pods, pods that serve)`` at each change.
        model_servers: The same.
        waiting: How many requests waited for a slot, at each whole second.
    """

    arrived: np.ndarray
    seconds: np.ndarray
    status: np.ndarray
    gateways: list[tuple[float, int, int]]
    model_servers: list[tuple[float, int, int]]
    waiting: list[int]

    def percentile(self, percent: float) -> float:
        """Seconds that a request took that was served; NaN if none was."""
        served = self.seconds[self.status == SERVED]
        return float(np.percentile(served, percent)) if len(served) else math.nan

    @property
    def failed(self) -> float:
        """The share of requests that were refused or too late."""
        return float(np.mean(self.status != SERVED)) if len(self.status) else 0.0

    @property
    def refused(self) -> float:
        """The share of requests that were refused."""
        return float(np.mean(self.status == REFUSED)) if len(self.status) else 0.0


def simulate(scenario: Scenario, seed: int) -> Outcome:
    """Simulate once; the same seed gives the same outcome."""
    generator = np.random.default_rng(seed)
    loop = Loop(repeats=scenario.seconds)
    costs = scenario.costs
    draws = Draws(generator, costs.model, costs.variation)
    found = scenario.delays.found if scenario.delays else 0.0
    servers: Group[Pod] = Group(
        loop, lambda ready: Pod(scenario.model_cores, loop.now, ready), scenario.model_servers, found
    )
    gateways: Group[Gateway] = Group(
        loop,
        lambda ready: Gateway(
            loop,
            costs,
            scenario.gateway_cores,
            scenario.slots,
            scenario.deadline,
            lambda: servers.serving,
            draws,
            generator,
            scenario.turns,
            ready,
        ),
        scenario.gateways,
    )
    if scenario.tiers and scenario.delays:
        own = np.random.default_rng([seed, _SCRAPES])  # so that the requests are those of other HPAs, too
        scrapes = Scrapes(loop, lambda: gateways.pods, scenario.delays.scrape, own)
        for group, tier in zip((gateways, servers), scenario.tiers, strict=True):
            phases = (float(generator.random()), float(generator.random()))
            group.follow(tier, Autoscaler(tier.autoscaling), scenario.delays, phases, scrapes.at_hand)
    requests: list[Request] = []
    waiting: list[int] = []
    loop.every(1.0, 1.0, lambda: waiting.append(sum(pod.admission.waiting for pod in gateways.serving)))
    _arrive(loop, scenario, generator, lambda: gateways.serving, requests)
    loop.run(scenario.seconds + scenario.deadline + 1.0)
    counted = [request for request in requests if request.arrived >= scenario.warm_up]
    return Outcome(
        np.array([request.arrived for request in counted]),
        np.array([request.ended - request.arrived for request in counted]),
        np.array([request.status for request in counted]),
        gateways.history,
        servers.history,
        waiting,
    )


def _arrive(
    loop: Loop,
    scenario: Scenario,
    generator: np.random.Generator,
    gateways: Callable[[], list[Gateway]],
    requests: list[Request],
) -> None:
    intervals = Draws(generator, 1.0, 1.0)

    def come() -> None:
        request = Request(loop.now)
        requests.append(request)
        pods = gateways()
        pods[int(generator.random() * len(pods))].arrive(request)
        follow()

    def follow() -> None:
        moment = loop.now + intervals.next() / scenario.load.at(loop.now)
        if moment < scenario.seconds:
            loop.at(moment, come)

    follow()
