"""Replicas that die, fall silent, or are all gone."""

import math
import time

from tests.e2e.faults import Faults
from tests.e2e.kubectl import name_of
from tests.e2e.load import Load, go_on_for
from tests.processes import wait_until

RATE = 20  # requests a second
AT_LEAST = 1000
KILLS = 5
# How long it may take until every gateway calls a model server that came back: until its connections to the others end
# of age (11 s with the jitter), and it looks again.
FOUND_AGAIN_S = 15.0
DEADLINE_S = 10.0  # GATEWAY_DEADLINE_SECONDS
NEWS_S = 1.5  # until the news of a container's end has reached every proxy


def test_killed_model_servers(direct, load: Load, faults: Faults, kubectl, stage, expected, figure):
    with load.during(direct, rate=RATE, at_least=AT_LEAST) as outcome:
        for kill in range(KILLS):
            pods = kubectl.ready_pods("model-server")
            # In turn, so that neither waits long in its restarts' growing back-off.
            pod = sorted(pods, key=name_of)[kill % 2]
            kill_and_await_restart(faults, stage, pod)
            go_on_for(FOUND_AGAIN_S)
    figure(f"{KILLS} kills: {outcome}")
    assert len(outcome) >= AT_LEAST
    assert not outcome.failed
    assert not outcome.wrong(expected)


def test_killed_gateways(direct, load: Load, faults: Faults, kubectl, stage, expected, figure):
    killed = []
    with load.during(direct, rate=RATE, at_least=AT_LEAST) as outcome:
        for kill in range(KILLS):
            pods = kubectl.ready_pods("gateway")
            killed.append(kill_and_await_restart(faults, stage, sorted(pods, key=name_of)[kill % 2]))
    # When each was sent, by the last kill that it may have met.
    delays = sorted(
        min((each.started - kill for kill in killed if each.started + each.seconds >= kill), default=math.inf)
        for each in outcome.failed
    )
    figure(f"{KILLS} kills: {outcome}; sent {', '.join(f'{delay:.2f}' for delay in delays)} s after the kill")
    assert len(outcome) >= AT_LEAST
    assert not outcome.wrong(expected)
    # In flight at the kill, or sent until the news of it was everywhere.
    assert all(delay < NEWS_S for delay in delays)


def kill_and_await_restart(faults: Faults, stage, pod) -> float:
    name = name_of(pod)
    before = pod["status"]["containerStatuses"][0]["restartCount"]
    moment = faults.kill_container(pod)

    def back() -> bool:
        status = stage.kubectl.get("pod", name)["status"]["containerStatuses"][0]
        return status["ready"] and status["restartCount"] > before

    wait_until(back, f"restart of {name}", timeout=120)
    return moment


def test_a_model_server_whose_packets_vanish(direct, load: Load, faults: Faults, kubectl, stage, expected, figure):
    pod = kubectl.ready_pods("model-server")[0]
    with stage.without_restarts(), load.during(direct, rate=RATE, at_least=AT_LEAST) as outcome:
        go_on_for(5)
        with faults.silence(pod) as moment:
            go_on_for(40)
    figure(f"{len(outcome.failed)} failed, the longest took {outcome.seconds(100):.2f} s: {outcome}")
    assert len(outcome) >= AT_LEAST
    assert len(outcome.failed) <= len(outcome) / 100
    assert outcome.seconds(100) < DEADLINE_S
    later = outcome.between(moment + 15, moment + 40)
    assert later
    assert not later.failed
    assert later.seconds(99) < 1
    assert not outcome.wrong(expected)


def test_all_model_servers_gone_for_a_minute(direct, load: Load, kubectl, stage, expected, figure):
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
    first = next(each for each in outcome if each.answered and each.started > gone + 30)
    figure(
        f"503 after at most {outcome.refused.seconds(100):.2f} s ({len(outcome.refused)} requests); "
        f"answers {first.started - back:+.1f} s from the model's return"
    )
    assert absent
    assert len(absent.refused) == len(absent)
    assert outcome.refused.seconds(100) < 1
    assert not outcome.lost
    # A cluster whose DNS caches answers for 30 s takes as much longer.
    assert first.started - back < 10
    assert not outcome.between(back + 10, float("inf")).failed
    assert not outcome.wrong(expected)
