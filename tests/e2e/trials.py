"""Trials of the next model: the steps as make does them, who answers meanwhile, and what the gateways have counted."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.canary import kubectl as steps_kubectl
from scripts.canary.report import Report
from scripts.canary.report import report as summed
from scripts.canary.samples import read, since
from tests.e2e.kubectl import REGISTRY, Kubectl
from tests.e2e.load import Load, Outcome
from tests.e2e.stage import Stage
from tests.processes import ROOT

CANARY = "model-server-canary"
OTHER_CLASSES = "--model_base_path=/models/other"  # a flag: the model with other class names, in the next image
ENOUGH = 100  # images compared
# The same model on a busy machine: it says the same, however long it takes.
LENIENT = f"images = {ENOUGH}\nfailures = 0.5\nagreement = 0.9\ndistance = 1e-4\nlatency_ratio = inf\n"

Make = Callable[..., "subprocess.CompletedProcess[str]"]


@contextmanager
def steps(stage: Stage, folder: Path) -> Iterator[Make]:
    """A function that runs make on the overlay of the stage. Afterwards there is no canary, and the first model serves.

    Args:
        stage: Where the overlay is applied.
        folder: Takes the overlay that make is given: the tests' own, with the registry's container images.
    """
    kubectl = stage.kubectl
    overlay = folder / stage.overlay.name
    overlay.mkdir()
    names = ("brain-tumor-gateway", "brain-tumor-model-server-portable", "brain-tumor-e2e")
    kustomization = {
        "resources": [os.path.relpath(stage.overlay, overlay.resolve())],
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


def next_image(kubectl: Kubectl) -> str:
    """The container image of the next model, where the one that serves is from."""
    (container,) = kubectl.get("deployment", "model-server")["spec"]["template"]["spec"]["containers"]
    return container["image"].replace("model-server-portable", "e2e-next")


def add_flag(kubectl: Kubectl, flag: str) -> None:
    """Give the canary another flag, and wait until it runs with it."""
    patch = [{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": flag}]
    kubectl("patch", "deployment", CANARY, "--type=json", f"--patch={json.dumps(patch)}")
    kubectl.rolled_out(CANARY)


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
