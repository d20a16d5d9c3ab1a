"""The next model on trial beside this one, promoted, rolled back, and failing in each way: not one request may fail."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import trials
from tests.e2e.faults import Faults
from tests.e2e.kubectl import Kubectl, is_ready, name_of
from tests.e2e.load import Load, go_on_for
from tests.e2e.stage import Stage
from tests.e2e.trials import CANARY, ENOUGH, LENIENT, OTHER_CLASSES, Make, counts, grows, labels, trial, versions
from tests.processes import wait_until

RATE = 10  # requests a second; the canary gets almost each of them, too
AT_LEAST = 500
SHARE = 30  # percent
PULSES, PULSE_S = 5, 1.0  # of a canary that is slow
HANGS_S = 8.0
GONE_S = 8.0
PATIENCE_S = 120.0  # a canary that failed is left out for up to half a minute, and may then fail once more
STRICT = "images = 1_000_000\nfailures = 0\nagreement = 1\ndistance = 0\nlatency_ratio = 0\n"


@pytest.fixture
def make(direct, stage: Stage, tmp_path: Path) -> Iterator[Make]:
    with trials.steps(stage, tmp_path) as steps:
        yield steps


@pytest.fixture
def next_image(direct, kubectl: Kubectl) -> str:
    return trials.next_image(kubectl)


def test_a_canary_is_promoted_and_rolled_back(
    make: Make, next_image: str, direct, load: Load, stage: Stage, kubectl: Kubectl, expected, report, tmp_path: Path
) -> None:
    for name, text in {"strict": STRICT, "lenient": LENIENT}.items():
        (tmp_path / f"{name}.toml").write_text(text)
    with stage.without_restarts(), load.during(direct, rate=RATE, at_least=AT_LEAST) as outcome:
        make("canary", f"IMAGE={next_image}", f"SHARE={SHARE}", "SHADOW=100")
        wait_until(lambda: trial(kubectl).images >= ENOUGH, "comparisons")
        refused = make("promote", f"BOUNDS={tmp_path / 'strict.toml'}", fails=True).stderr
        wait_until(lambda: versions(load, direct) == {1, 2}, "responses of both models")
        promoted = make("promote", f"BOUNDS={tmp_path / 'lenient.toml'}").stdout
        wait_until(lambda: versions(load, direct) == {2}, "the next model alone", timeout=120)
        assert not kubectl("get", "deployment", CANARY, "--ignore-not-found")
        make("rollback")
        wait_until(lambda: versions(load, direct) == {1}, "the first model alone", timeout=120)
    answered = labels(outcome)
    share = answered.count("canary") / len(answered)
    report(f"{len(answered)} requests while there was a canary, which answered {share:.0%} of them; {outcome}")
    report(promoted.partition("The model server gets")[0].strip())
    assert not outcome.failed
    assert not outcome.wrong(expected)
    assert SHARE / 200 < share < SHARE / 50
    for bound in ("images", "agreement", "latency_ratio"):
        assert re.search(rf"^  {bound}: .* is asked for$", refused, re.MULTILINE)
    assert "newName" in promoted  # what keeps it at the next make deploy


def test_canaries_that_fail_in_each_way(
    make: Make, next_image: str, direct, load: Load, faults: Faults, kubectl: Kubectl, expected, report
) -> None:
    ended = {}

    def pod() -> dict:
        wait_until(lambda: len(kubectl.pods(CANARY)) == len(kubectl.ready_pods(CANARY)) == 1, "the canary")
        return kubectl.pods(CANARY)[0]

    with load.during(direct, rate=RATE, at_least=AT_LEAST) as outcome:
        make("canary", f"IMAGE={next_image}", f"SHARE={SHARE}", "SHADOW=100")
        wait_until(grows(kubectl, "answered"), "responses of the canary")

        slow = grows(kubectl, "slow")
        for _ in range(PULSES):
            with faults.stop(pod()):
                go_on_for(PULSE_S)
            go_on_for(PULSE_S)
        with faults.stop(pod()):
            go_on_for(HANGS_S)
        wait_until(slow, "requests that were too slow")
        wait_until(grows(kubectl, "answered"), "responses after it hung", timeout=PATIENCE_S)
        ended["slow, and hung"] = counts(kubectl)

        killed = pod()
        faults.kill_container(killed)
        wait_until(lambda: restarted(kubectl, killed), "its restart", timeout=120)
        wait_until(grows(kubectl, "answered"), "responses after it was killed", timeout=PATIENCE_S)
        ended["killed"] = counts(kubectl)

        before = counts(kubectl)
        kubectl("scale", f"deployment/{CANARY}", "--replicas=0")
        kubectl("delete", "pod", name_of(killed), "--grace-period=1")
        go_on_for(GONE_S)
        after = counts(kubectl)
        assert any(after.get(outcome, 0) > before.get(outcome, 0) for outcome in ("unavailable", "skipped"))
        ended["gone"] = counts(kubectl)
        kubectl("scale", f"deployment/{CANARY}", "--replicas=1")
        pod()
        wait_until(grows(kubectl, "answered"), "responses after it was gone", timeout=PATIENCE_S)

        trials.add_flag(kubectl, OTHER_CLASSES)
        wait_until(grows(kubectl, "mismatch"), "requests that a model with other class names did not answer")
        ended["other class names"] = counts(kubectl)
        make("rollback")
    for what, numbers in ended.items():
        report(f"{what}: {numbers}")
    report(str(outcome))
    assert not outcome.failed
    assert not outcome.wrong(expected)


def restarted(kubectl: Kubectl, pod: dict) -> bool:
    """Whether a pod's container has started anew, and is ready."""
    now = kubectl.get("pod", name_of(pod))
    before, after = (one["status"]["containerStatuses"][0]["restartCount"] for one in (pod, now))
    return after > before and is_ready(now)


def test_a_canary_that_never_starts(
    make: Make, next_image: str, direct, load: Load, kubectl: Kubectl, expected, report
) -> None:
    gateways = {name_of(pod) for pod in kubectl.pods("gateway")}
    with load.during(direct, rate=RATE, at_least=AT_LEAST) as outcome:
        failed = make("canary", f"IMAGE={next_image.rpartition(':')[0]}:no-such-tag", fails=True)
    report(f"{failed.stderr.splitlines()[0]}; {outcome}")
    assert "no-such-tag" in failed.stderr
    assert "No gateway knew of it" in failed.stdout
    assert not kubectl(
        "get", "deployments,services,poddisruptionbudgets", f"--selector=app.kubernetes.io/name={CANARY}"
    )
    assert {name_of(pod) for pod in kubectl.pods("gateway")} == gateways
    assert not outcome.failed
    assert not outcome.wrong(expected)
