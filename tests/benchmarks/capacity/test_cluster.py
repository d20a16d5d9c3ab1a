"""The comparison with a cluster, on one that is played: how it is asked, and what is made of what it says."""

import json
import re
import time

import pytest

from benchmarks.capacity import cluster
from benchmarks.capacity.manifests import base
from benchmarks.capacity.scaling import Delays
from tests.e2e import load as e2e
from tests.e2e.stage import REPLICAS

RATE = 24.0
CPU = {"gateway": "60m", "model-server": "48000000n"}  # of each of two pods: 5 and 4 ms a request
BEFORE = 0.6  # seconds


def pod(tier: str, second: int) -> dict:
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": f"2026-01-01T00:00:{second:02}Z"}
    return {
        "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app.kubernetes.io/name": tier}},
        "status": {"conditions": [ready]},
    }


class PlayedCluster:
    """Two pods of each tier, of which the gateways become three."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.began = time.monotonic()

    def __call__(self, *arguments: str) -> str:
        if arguments[:2] != ("get", "--raw"):
            return ""
        usage = [
            {"metadata": pod(tier, 0)["metadata"], "containers": [{"usage": {"cpu": cpu}}]}
            for tier, cpu in CPU.items()
            for _ in range(REPLICAS)
        ]
        other = {"metadata": {"labels": {}}, "containers": [{"usage": {"cpu": "1"}}]}
        return json.dumps({"items": [*usage, other]})

    def pods(self, tier: str) -> list[dict]:
        return [pod(tier, 4), pod(tier, 6)]

    def ready_pods(self, tier: str) -> list[dict]:
        grown = tier == "gateway" and time.monotonic() > self.began + 2 * BEFORE
        return self.pods(tier) + [pod(tier, 9)] * grown


class PlayedStage:
    put_aways = 0

    def __init__(self, kubectl: PlayedCluster) -> None:
        pass

    def apply(self, change) -> None:
        objects = base()
        change(objects)
        most = {one["spec"]["maxReplicas"] for one in objects if one["kind"] == "HorizontalPodAutoscaler"}
        assert most == {6}

    def settle(self) -> None:
        pass

    def put_away(self) -> None:
        PlayedStage.put_aways += 1


class PlayedLoad:
    """Every tenth request is refused."""

    rates: list[float]

    def __init__(self, kubectl: PlayedCluster) -> None:
        PlayedLoad.rates = []

    def start(self, service: str, *, rate: str, seconds: float) -> "PlayedLoad":
        count, _, period = rate.partition("/")
        PlayedLoad.rates.append(int(count) / float(period.removesuffix("s") or 1))
        self.ends = time.monotonic() + seconds
        return self

    def sent(self) -> bool:
        return True

    def outcome(self) -> e2e.Outcome:
        time.sleep(max(0.0, self.ends - time.monotonic()))  # an attack goes on until its end
        return e2e.Outcome(
            e2e.Request("glioma", time.time(), 0.02, 503 if number == 9 else 200, "", "1", b"") for number in range(10)
        )


@pytest.fixture
def played(monkeypatch) -> None:
    replaced = {"Kubectl": PlayedCluster, "Stage": PlayedStage, "Load": PlayedLoad}
    times = {"BEFORE": BEFORE, "WITHIN": BEFORE, "AFTER": BEFORE, "_ROW": BEFORE, "_POLL": 0.05, "_CALM": 0.0}
    for name, value in (replaced | times).items():
        monkeypatch.setattr(cluster, name, value)
    PlayedStage.put_aways = 0


def test_a_load_that_doubles_is_predicted_from_what_was_measured_before(played, capsys):
    cluster.validate_on_cluster(RATE, Delays(99.0, 15.0, 5.0, 5.0), range(2))
    out = capsys.readouterr().out
    assert "CPU ms a request 5.0 (gateway) and 4.0 (model server), p50 20 ms, start of a pod 5 s" in out
    assert PlayedLoad.rates == [RATE, RATE, *[RATE / 6] * 6]
    rows = [[cell.strip() for cell in line.split("|")[2:-1]] for line in out.splitlines() if re.match(r"\| \d", line)]
    assert rows[0] == ["2", "2", "2", "2"]
    assert rows[-1] == ["2", "3", "2", "2"]
    assert "measured: p50 20 ms, p99 20 ms, 10.00 % failed of 70 requests" in out
    assert PlayedStage.put_aways == 2


def test_the_namespace_is_put_away_after_an_error(played, monkeypatch):
    monkeypatch.setattr(PlayedLoad, "sent", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cluster.validate_on_cluster(RATE, Delays(99.0, 15.0, 5.0, 5.0), range(1))
    assert PlayedStage.put_aways == 2
