"""All that is said of one load: its size, how it is when steady, when it doubles, and which limits it meets."""

from dataclasses import dataclass

from benchmarks.capacity import limits as limits_of
from benchmarks.capacity.doubling import Doubling, double
from benchmarks.capacity.limits import FAILED, Limit
from benchmarks.capacity.manifests import Tier, connection_age, model_server_name
from benchmarks.capacity.options import Effort
from benchmarks.capacity.packing import Node
from benchmarks.capacity.plan import Size, size
from benchmarks.capacity.replications import Estimate, over
from benchmarks.capacity.scaling import Delays
from benchmarks.capacity.scenario import Load, Scenario
from benchmarks.capacity.service import simulate
from benchmarks.capacity.times import Times
from gateway.settings import Settings

_WARM_UP = 10.0  # seconds


@dataclass(frozen=True)
class Steady:
    """A steady load; seconds of requests that are served, and the share of those that fail."""

    p50: Estimate
    p99: Estimate
    failed: Estimate


@dataclass(frozen=True)
class Forecast:
    """A load and what is to be expected."""

    size: Size
    steady: Steady
    doubling: Doubling
    limits: list[Limit]


def forecast(
    rate: float,
    deadline: float,
    times: Times,
    tiers: tuple[Tier, Tier],
    node: Node | None,
    image_bytes: float,
    cores: str,
    delays: Delays,
    effort: Effort,
) -> Forecast:
    """Compute and simulate.

    Args:
        rate: Requests a second.
        deadline: Seconds for a response.
        times: What a request costs.
        tiers: The gateway and the model server.
        node: The nodes.
        image_bytes: Of an image between the tiers.
        cores: Whether pods get the CPU of their ``request``, or of their ``limit``.
        delays: What keeps the HPAs back.
        effort: How much is simulated.

    Raises:
        ValueError: A pod is larger than a node.
    """
    age = connection_age()
    needed = size(rate, times, tiers, image_bytes, model_server_name(), age, node)
    gateway_cores, model_cores = (tier.cpu_request if cores == "request" else tier.cpu_limit for tier in tiers)
    scenario = Scenario(
        Load(rate),
        needed.gateways,
        needed.model_servers,
        gateway_cores,
        model_cores,
        times.costs(),
        deadline,
        Settings().max_in_flight,
        _WARM_UP + effort.seconds,
        _WARM_UP,
    )
    part, _ = scenario.slice(effort.requests)
    outcomes = [simulate(part, seed) for seed in effort.seeds]
    steady = Steady(
        over(outcomes, lambda outcome: outcome.percentile(50)),
        over(outcomes, lambda outcome: outcome.percentile(99)),
        over(outcomes, lambda outcome: outcome.failed),
    )
    doubling = double(scenario, tiers, delays, effort.seeds, effort.requests)
    found = limits_of.limits(needed, times, tiers, deadline, age)
    found += [_deadline(steady.failed, times), _following(doubling.failed)]
    return Forecast(needed, steady, doubling, sorted(found, key=lambda limit: limit.used, reverse=True))


def _deadline(failed: Estimate, times: Times) -> Limit:
    return Limit(
        "share of requests that fail under a steady load (simulated)",
        failed.mean,
        FAILED,
        False,
        "clients get 503, although CPUs are idle",
        f"a longer deadline than that for calls of {times.model_cpu:g} ms, model servers with more cores each, or a "
        "lower averageUtilization of the HPAs",
    )


def _following(failed: Estimate) -> Limit:
    return Limit(
        "share of requests that fail while the load doubles (simulated, HPAs without maxima)",
        failed.mean,
        FAILED,
        False,
        "clients get 503 until the HPAs have followed; what is refused takes no CPU, so they may never",
        "HPAs that also follow the requests at hand (components/scale-by-waiting), or a lower averageUtilization",
    )
