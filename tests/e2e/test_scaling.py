"""The number of replicas follows the load, in both tiers."""

import time
from collections.abc import Iterator

import pytest

from tests.e2e.kubectl import Kubectl, name_of
from tests.e2e.load import Load, go_on_for
from tests.e2e.stage import REPLICAS, TIERS, Stage
from tests.processes import wait_until

pytestmark = pytest.mark.quiet

MORE = REPLICAS + 1
BUSY, CALM = 110, 8  # requests a second; a slow machine, too, must find CALM little for two gateways
SHARE_AFTER_S = 15.0
COUNTED_S = 20.0


@pytest.fixture
def autoscaled(direct, stage: Stage, kubectl: Kubectl) -> Iterator[None]:
    """HPAs that may add one replica to each tier."""
    for tier in TIERS:
        kubectl.patch("hpa", tier, {"spec": {"maxReplicas": MORE}})
    yield
    stage.apply()
    stage.settle()


def test_replicas_follow_the_load(autoscaled, direct, load: Load, kubectl: Kubectl, stage: Stage, expected, report):
    before = {name_of(pod) for pod in kubectl.pods("model-server")}
    started = time.monotonic()
    with stage.without_restarts(), load.during(direct, rate=BUSY, at_least=1000) as growing:
        wait_until(lambda: len(kubectl.ready_pods("model-server")) == MORE, "a third model server", timeout=180)
        ready = time.monotonic()
        (new,) = {name_of(pod) for pod in kubectl.pods("model-server")} - before
        wait_until(lambda: kubectl.predictions(new) > 2, "calls of the new model server", timeout=60)
        called_after = time.monotonic() - ready
        go_on_for(ready + SHARE_AFTER_S - time.monotonic())
        counts = count_for(kubectl, COUNTED_S)
        wait_until(lambda: len(kubectl.ready_pods("gateway")) == MORE, "a third gateway", timeout=180)
        grown = time.monotonic() - started
    share = max(counts.values()) * len(counts) / sum(counts.values())
    report(
        f"out: third pods of both tiers after {grown:.0f} s; the new model server is called {called_after:.1f} s "
        f"after it is ready; largest share {share:.2f} x the mean {sorted(counts.values())}; {growing}"
    )
    assert called_after < SHARE_AFTER_S
    assert len(counts) == MORE
    assert share < 1.25
    assert not growing.lost
    assert not growing.wrong(expected)

    with stage.without_restarts(), load.during(direct, rate=CALM, at_least=400) as shrinking:
        pods = {name_of(pod) for tier in TIERS for pod in kubectl.pods(tier)}
        wait_until(
            lambda: all(len(kubectl.pods(tier)) == REPLICAS for tier in TIERS), "two pods of each tier", timeout=300
        )
        for pod in pods - {name_of(pod) for tier in TIERS for pod in kubectl.pods(tier)}:
            kubectl.gone(pod)
    report(f"in: {shrinking}")
    assert not shrinking.failed
    assert not shrinking.wrong(expected)


def count_for(kubectl: Kubectl, seconds: float) -> dict[str, int]:
    """The calls that each model server completes within the time, by pod."""
    pods = [name_of(pod) for pod in kubectl.pods("model-server")]
    before = {pod: kubectl.predictions(pod) for pod in pods}
    go_on_for(seconds)
    return {pod: kubectl.predictions(pod) - before[pod] for pod in pods}
