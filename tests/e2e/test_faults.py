"""Replicas are killed, hang, cannot be reached, or are all gone."""

import math
import time
from collections.abc import Iterator

import pytest

from tests.e2e.faults import Faults
from tests.e2e.kubectl import name_of
from tests.e2e.load import Load, go_on_for
from tests.e2e.stage import Objects
from tests.processes import wait_until

pytestmark = pytest.mark.quiet

RATE = 20  # requests a second
AT_LEAST = 1000
MODEL_SERVER_KILLS = 3
GATEWAY_KILLS = 5
# The longest time until every gateway calls a model server that came back: the longest pause between two trials.
FOUND_AGAIN_S = 9.0
STOPPED_S = 50.0  # the liveness probe ends the pod after 55 s at the earliest
SILENT_S = 20.0
FIRST_S = 3.0
SLOWEST_S = 5.0  # well below GATEWAY_DEADLINE_SECONDS
PROXY_UPDATE_S = 1.5  # until every proxy knows that a container has ended


def test_killed_model_servers(direct, load: Load, faults: Faults, kubectl, stage, expected, report):
    with load.during(direct, rate=RATE, at_least=AT_LEAST) as outcome:
        for kill in range(MODEL_SERVER_KILLS):
            pods = kubectl.ready_pods("model-server")
            # In turn, so that the growing back-off between restarts stays short.
            pod = sorted(pods, key=name_of)[kill % 2]
            kill_and_await_restart(faults, stage, pod)
            go_on_for(FOUND_AGAIN_S)
    report(f"{MODEL_SERVER_KILLS} kills: {outcome}")
    assert len(outcome) >= AT_LEAST
    assert not outcome.failed
    assert not outcome.wrong(expected)


def test_killed_gateways(direct, load: Load, faults: Faults, kubectl, stage, expected, report):
    killed = []
    with load.during(direct, rate=RATE, at_least=AT_LEAST) as outcome:
        for kill in range(GATEWAY_KILLS):
            pods = kubectl.ready_pods("gateway")
            killed.append(kill_and_await_restart(faults, stage, sorted(pods, key=name_of)[kill % 2]))
    # How long after a kill each failed request was sent. The kill is the last one that the request can have met.
    delays = sorted(
        min((request.started - kill for kill in killed if request.started + request.seconds >= kill), default=math.inf)
        for request in outcome.failed
    )
    report(f"{GATEWAY_KILLS} kills: {outcome}; sent {', '.join(f'{delay:.2f}' for delay in delays)} s after the kill")
    assert len(outcome) >= AT_LEAST
    assert not outcome.wrong(expected)
    # In flight at the kill, or sent before every proxy was updated.
    assert all(delay < PROXY_UPDATE_S for delay in delays)


def kill_and_await_restart(faults: Faults, stage, pod) -> float:
    name = name_of(pod)
    before = pod["status"]["containerStatuses"][0]["restartCount"]
    moment = faults.kill_container(pod)

    def back() -> bool:
        status = stage.kubectl.get("pod", name)["status"]["containerStatuses"][0]
        return status["ready"] and status["restartCount"] > before

    wait_until(back, f"restart of {name}", timeout=120)
    return moment


@pytest.fixture
def three_model_servers(direct, stage) -> Iterator[None]:
    def change(objects: Objects) -> None:
        for manifest in objects:
            if manifest["kind"] == "HorizontalPodAutoscaler" and name_of(manifest) == "model-server":
                manifest["spec"] |= {"minReplicas": 3, "maxReplicas": 3}

    with stage.changed(change):
        stage.settle(model_servers=3)
        yield
    stage.kubectl("scale", "deployment/model-server", "--replicas=2")
    stage.settle()


def test_one_of_three_model_servers_fails(
    three_model_servers, direct, load: Load, faults: Faults, kubectl, stage, expected, report
):
    stopped, silent, _ = kubectl.ready_pods("model-server")
    moments = {}
    with stage.without_restarts(), load.during(direct, rate=RATE, at_least=AT_LEAST) as outcome:
        go_on_for(5)
        with faults.stop(stopped) as moments["stopped"]:
            go_on_for(STOPPED_S)
        wait_until(lambda: len(kubectl.ready_pods("model-server")) == 3, "the stopped model server's return")
        go_on_for(FOUND_AGAIN_S)
        with faults.silence(silent) as moments["silent"]:
            go_on_for(SILENT_S)
    for (fault, moment), seconds in zip(moments.items(), (STOPPED_S, SILENT_S), strict=True):
        first = outcome.between(moment, moment + FIRST_S)
        later = outcome.between(moment + FIRST_S, moment + seconds)
        report(
            f"{fault}: {len(first.failed)} of the first {len(first)} failed, slowest {first.seconds(100):.2f} s; "
            f"later {len(later.failed)} of {len(later)}, slowest {later.seconds(100):.2f} s"
        )
        assert len(first.failed) <= len(first) / 100
        assert first.seconds(100) < SLOWEST_S
        assert later
        assert later.seconds(99) < 1
    report(str(outcome))
    assert len(outcome.failed) <= len(outcome) / 100
    assert not outcome.between(moments["stopped"] + FIRST_S, moments["silent"]).failed
    assert not outcome.between(moments["silent"] + FIRST_S, math.inf).failed
    assert not outcome.wrong(expected)


def test_all_model_servers_gone_for_a_minute(direct, load: Load, kubectl, stage, expected, report):
    with stage.without_restarts(), load.during(direct, rate=RATE, at_least=AT_LEAST) as outcome:
        kubectl("scale", "deployment/model-server", "--replicas=0")
        kubectl("delete", "pods", "--selector=app.kubernetes.io/name=model-server", "--grace-period=1")
        gone = time.time()
        go_on_for(60)
        assert len(kubectl.ready_pods("gateway")) == 2
        kubectl("scale", "deployment/model-server", "--replicas=2")
        wait_until(lambda: kubectl.ready_pods("model-server"), "the model's return")
        back = time.time()
        stage.settle()
    absent = outcome.between(gone + 1, gone + 60)
    first = next(request for request in outcome if request.succeeded and request.started > gone + 30)
    report(
        f"503 after at most {outcome.refused.seconds(100):.2f} s ({len(outcome.refused)} requests); "
        f"first prediction {first.started - back:+.1f} s from the model's return"
    )
    assert absent
    assert len(absent.refused) == len(absent)
    assert outcome.refused.seconds(100) < 1
    assert not outcome.lost
    # On a cluster whose DNS caches records for 30 s this takes 30 s longer.
    assert first.started - back < 10
    assert not outcome.between(back + 10, float("inf")).failed
    assert not outcome.wrong(expected)
