"""The next model on trial beside this one, promoted, rolled back, and failing in each way: not one request may fail."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.canary import kubectl as steps_kubectl
from scripts.canary.report import Report
from scripts.canary.report import report as summed
from scripts.canary.samples import read, since
from tests.e2e.faults import Faults
from tests.e2e.kubectl import REGISTRY, Kubectl, is_ready, name_of
from tests.e2e.load import Load, Outcome, go_on_for
from tests.e2e.stage import OVERLAYS, Stage
from tests.processes import ROOT, wait_until

CANARY = "model-server-canary"
RATE = 10  # requests a second; the canary gets almost each of them, too
AT_LEAST = 500
SHARE = 30  # percent
ENOUGH = 100  # images compared
PULSES, PULSE_S = 5, 1.0  # of a canary that is slow
HANGS_S = 8.0
GONE_S = 8.0
STRICT = "images = 1_000_000\nfailures = 0\nagreement = 1\ndistance = 0\nlatency_ratio = 0\n"
# The same model on a busy machine: it says the same, however long it takes.
LENIENT = f"images = {ENOUGH}\nfailures = 0.5\nagreement = 0.9\ndistance = 1e-4\nlatency_ratio = inf\n"

Make = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def make(direct, stage: Stage, kubectl: Kubectl, tmp_path: Path) -> Iterator[Make]:
    """A function that runs make on the tests' overlay. Afterwards there is no canary, and the first model serves."""
    overlay = tmp_path / "direct"
    overlay.mkdir()
    names = ("brain-tumor-gateway", "brain-tumor-model-server-portable", "brain-tumor-e2e")
    kustomization = {
        "resources": [os.path.relpath(OVERLAYS / "direct", overlay.resolve())],
        "images": [{"name": name, "newName": f"{REGISTRY}{name}"} for name in names],
    }
    (overlay / "kustomization.yaml").write_text(json.dumps(kustomization))
    name = os.path.relpath(overlay.resolve(), ROOT / "kube-config" / "overlays")
    # Not as a part of the make that may run the tests.
    environment = {variable: value for variable, value in os.environ.items() if not variable.startswith("MAKE")}

    def run(*words: str, fails: bool = False) -> "subprocess.CompletedProcess[str]":
        command = ["make", *words, f"OVERLAY={name}"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400)

        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done

    yield run
    if kubectl("get", "deployment", CANARY, "--ignore-not-found"):
        run("rollback")
    kubectl("delete", "configmap", "canary-state", "--ignore-not-found")
    stage.apply()
    stage.settle()


@pytest.fixture
def next_image(direct, kubectl: Kubectl) -> str:
    """The container image of the next model, where the one that serves is from."""
    (container,) = kubectl.get("deployment", "model-server")["spec"]["template"]["spec"]["containers"]
    return container["image"].replace("model-server-portable", "e2e-next")


def versions(load: Load, service: str) -> set[int]:
    """The model versions that respond."""
    outcome = load.run(service, rate="10", seconds=2)
    return {json.loads(request.body)["model"]["version"] for request in outcome.succeeded}


def trial(kubectl: Kubectl) -> Report:
    """What the gateways have counted: they are new since the canary began."""
    return summed(since({}, read(steps_kubectl.Kubectl(kubectl.namespace))))


def counts(kubectl: Kubectl) -> dict[str, int]:
    """How the requests for the canary ended."""
    return {outcome: int(count) for outcome, count in trial(kubectl).requests.items() if count}


def grows(kubectl: Kubectl, outcome: str) -> Callable[[], bool]:
    """A condition: more requests for the canary than now ended so."""
    before = counts(kubectl).get(outcome, 0)
    return lambda: counts(kubectl).get(outcome, 0) > before


def labels(outcome: Outcome) -> list[str]:
    """Who answered, as the responses say while there is a canary."""
    models = [json.loads(request.body)["model"] for request in outcome.succeeded]
    return [model["label"] for model in models if "label" in model]


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
        wait_until(slow, "requests that were too slow")
        with faults.stop(pod()):
            go_on_for(HANGS_S)
        wait_until(grows(kubectl, "answered"), "responses after it hung")
        ended["slow, and hung"] = counts(kubectl)

        killed = pod()
        faults.kill_container(killed)
        wait_until(lambda: restarted(kubectl, killed), "its restart", timeout=120)
        wait_until(grows(kubectl, "answered"), "responses after it was killed")
        ended["killed"] = counts(kubectl)

        kubectl("scale", f"deployment/{CANARY}", "--replicas=0")
        kubectl("delete", "pod", name_of(killed), "--grace-period=1")
        go_on_for(GONE_S)
        assert {"unavailable", "skipped"} & counts(kubectl).keys()
        ended["gone"] = counts(kubectl)
        kubectl("scale", f"deployment/{CANARY}", "--replicas=1")
        pod()
        wait_until(grows(kubectl, "answered"), "responses after it was gone")

        patch = [
            {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--model_base_path=/models/other"}
        ]
        kubectl("patch", "deployment", CANARY, "--type=json", f"--patch={json.dumps(patch)}")
        kubectl.rolled_out(CANARY)
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
