"""The load doubles on a real cluster: replicas, times and refusals, predicted and measured.

It uses the namespace, the container images and the load generator of ``make e2e``, so those must be there
(CONTRIBUTING.md, "Kubernetes"). What requests cost is measured while the load is calm; the prediction follows from it.
"""

import json
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from benchmarks.capacity import manifests
from benchmarks.capacity.doubling import AFTER, BEFORE, WITHIN
from benchmarks.capacity.manifests import TIERS, Tier, quantity
from benchmarks.capacity.pods import SERVED, Costs
from benchmarks.capacity.replications import milliseconds, over
from benchmarks.capacity.scaling import Delays
from benchmarks.capacity.scenario import Load as Rate
from benchmarks.capacity.scenario import Scenario
from benchmarks.capacity.service import Outcome, simulate
from gateway.settings import Settings
from tests.e2e.kubectl import Kubectl, is_ready
from tests.e2e.load import Load
from tests.e2e.stage import NAMESPACE, REPLICAS, Objects, Stage
from tests.processes import wait_until

_MOST = 6  # replicas of each tier
_STEPS = 6  # in which the load grows
_POLL = 5.0  # seconds between two looks at the replicas
_ROW = 30.0  # seconds between two rows of the table
_REFUSAL = 0.25  # of a gateway's CPU for a request
_CALM = 75.0  # seconds before the measurement: metrics are a while behind

Sample = tuple[float, int, int]  # moment, ready gateways, ready model servers


@dataclass
class _Watch:
    """What is seen of the cluster."""

    samples: list[Sample]
    usage: list[tuple[float, float]]  # CPUs of all pods of each tier


def validate_on_cluster(rate: float, delays: Delays, seeds: range) -> None:
    """Print how replicas follow a load that doubles, and what became of the requests.

    Args:
        rate: Requests a second before, a whole number.
        delays: What keeps the HPAs back; how long a pod starts is measured.
        seeds: One for each replication of the prediction.
    """
    kubectl = Kubectl(NAMESPACE)
    stage = Stage(kubectl)
    applied: Objects = []

    def let_grow(objects: Objects) -> None:
        for one in objects:
            if one["kind"] == "HorizontalPodAutoscaler":
                one["spec"]["maxReplicas"] = _MOST
        applied.extend(objects)

    stage.put_away()
    try:
        stage.apply(let_grow)
        stage.settle()
        kubectl("wait", "--for=condition=Ready", "pod/load", "--timeout=60s")
        start = statistics.fmean(_start_seconds(pod) for tier in TIERS for pod in kubectl.pods(tier))
        load = Load(kubectl)
        calm = load.start("gateway", rate=f"{rate:.0f}", seconds=_CALM)
        wait_until(calm.sent, "the calm load", timeout=2 * _CALM)
        lone = statistics.median(request.seconds for request in calm.outcome().succeeded)
        measured, watch = _double(kubectl, load, rate)
    finally:
        stage.put_away()
    calm_usage = [statistics.fmean(usage) for usage in zip(*watch.usage, strict=True)]
    gateway_cpu, model_cpu = (usage / rate for usage in calm_usage)
    costs = Costs(_REFUSAL * gateway_cpu, (1 - _REFUSAL) * gateway_cpu, model_cpu, 0.1, 0.0005)
    tiers = manifests.tiers(applied)
    predicted = _predict(rate, costs, tiers, replace(delays, start=start), seeds)
    print(
        f"{rate:g} requests/s, doubled within {WITHIN:.0f} s; measured: CPU ms a request {1e3 * gateway_cpu:.1f} "
        f"(gateway) and {1e3 * model_cpu:.1f} (model server), p50 {1e3 * lone:.0f} ms, start of a pod {start:.0f} s"
    )
    _print(predicted, measured, watch.samples)


def _double(kubectl: Kubectl, load: Load, rate: float) -> tuple[Outcome, _Watch]:
    """Let the load double in steps; the requests and what was seen of the pods."""
    with _watching(kubectl) as watch:
        began = time.time()
        attacks = [load.start("gateway", rate=f"{rate:.0f}", seconds=BEFORE + WITHIN + AFTER)]
        for step in range(_STEPS):
            begins = BEFORE + WITHIN * step / _STEPS
            time.sleep(max(0.0, began + begins - time.time()))
            seconds = BEFORE + WITHIN + AFTER - begins
            attacks.append(load.start("gateway", rate=f"{rate:.0f}/{_STEPS}s", seconds=seconds))
        requests = [request for attack in attacks for request in attack.outcome()]
    watch.samples = [(moment - began, *ready) for moment, *ready in watch.samples]
    arrived = np.array([request.started - began for request in requests])
    seconds = np.array([request.seconds for request in requests])
    return Outcome(arrived, seconds, np.array([request.status for request in requests]), [], [], []), watch


@contextmanager
def _watching(kubectl: Kubectl) -> Iterator[_Watch]:
    """Look at the pods now and then, in a thread, while the block runs; at their CPU while the load is calm."""
    watch, ended = _Watch([], []), threading.Event()

    def look() -> None:
        began = time.monotonic()
        while not ended.wait(_POLL):
            ready = [len(kubectl.ready_pods(tier)) for tier in TIERS]
            watch.samples.append((time.time(), *ready))
            if time.monotonic() - began < BEFORE:
                watch.usage.append(_usage(kubectl))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join(10 * _POLL)


def _usage(kubectl: Kubectl) -> tuple[float, float]:
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{kubectl.namespace}/pods"
    pods = json.loads(kubectl("get", "--raw", path))["items"]
    totals = dict.fromkeys(TIERS, 0.0)
    for pod in pods:
        if (tier := pod["metadata"].get("labels", {}).get("app.kubernetes.io/name")) in totals:
            totals[tier] += sum(quantity(container["usage"]["cpu"]) for container in pod["containers"])
    return totals[TIERS[0]], totals[TIERS[1]]


def _start_seconds(pod: dict) -> float:
    assert is_ready(pod)
    (ready,) = [entry for entry in pod["status"]["conditions"] if entry["type"] == "Ready"]
    moments = [
        datetime.fromisoformat(text) for text in (pod["metadata"]["creationTimestamp"], ready["lastTransitionTime"])
    ]
    return (moments[1] - moments[0]).total_seconds()


def _predict(rate: float, costs: Costs, tiers: tuple[Tier, Tier], delays: Delays, seeds: range) -> list[Outcome]:
    scenario = Scenario(
        load=Rate(rate, 2 * rate, BEFORE, WITHIN),
        gateways=REPLICAS,
        model_servers=REPLICAS,
        gateway_cores=tiers[0].cpu_limit,
        model_cores=tiers[1].cpu_limit,
        costs=costs,
        deadline=Settings().deadline,
        slots=Settings().max_in_flight,
        seconds=BEFORE + WITHIN + AFTER,
        tiers=tiers,
        delays=delays,
    )
    return [simulate(scenario, seed) for seed in seeds]


def _print(predicted: list[Outcome], measured: Outcome, samples: list[Sample]) -> None:
    print("| second | gateways predicted | measured | model servers predicted | measured |\n" + "| --- " * 5 + "|")
    for moment in np.arange(_ROW, BEFORE + WITHIN + AFTER + 1, _ROW):
        seen = max((sample for sample in samples if sample[0] <= moment), default=(0.0, REPLICAS, REPLICAS))
        gateways = _range([_serving(outcome.gateways, moment) for outcome in predicted])
        servers = _range([_serving(outcome.model_servers, moment) for outcome in predicted])
        print(f"| {moment:.0f} | {gateways} | {seen[1]} | {servers} | {seen[2]} |")
    print(
        f"predicted: p50 {milliseconds(over(predicted, lambda one: one.percentile(50)))}, "
        f"p99 {milliseconds(over(predicted, lambda one: one.percentile(99)))}, "
        f"{100 * over(predicted, lambda one: one.failed).mean:.2f} % failed"
    )
    print(
        f"measured: p50 {1e3 * measured.percentile(50):.0f} ms, p99 {1e3 * measured.percentile(99):.0f} ms, "
        f"{100 * np.mean(measured.status != SERVED):.2f} % failed of {len(measured.status):,} requests"
    )


def _serving(history: list[Sample], moment: float) -> int:
    return next(serving for at, _, serving in reversed(history) if at <= moment)


def _range(values: list[int]) -> str:
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)} to {max(values)}"
