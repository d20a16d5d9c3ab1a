"""More requests than the model can handle: the service keeps its peak rate, and refuses most of the rest at once."""

from collections.abc import Iterator
from pathlib import Path

import keras
import pytest
from keras import layers

from brain_tumor.contract import METADATA_ASSET, MODEL_NAME
from tests.converter.small_models import classifier, publish, randomise
from tests.e2e.kubectl import Kubectl
from tests.e2e.load import CASES, Load, Outcome
from tests.e2e.stage import Objects, Stage, container, deployment, name_of
from tests.processes import wait_until

pytestmark = pytest.mark.quiet

SETTLING_S = 5.0  # at the start of each attack, not counted
SECONDS = 25.0
SLOWEST_IMAGE_S = 0.05


def build_slow_model() -> keras.Model:
    """Twenty layers of 285 MMAC: about 200 ms an image in its pod, in a file that a ConfigMap can hold (1 MiB)."""
    pixels = keras.Input((176, 176, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    for _ in range(20):
        x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    return randomise(keras.Model(pixels, classifier(x, len(CASES))))


@pytest.fixture
def slow_model(direct, stage: Stage, kubectl: Kubectl, tmp_path: Path) -> Iterator[None]:
    """One model server with a slow model instead of the shipped one."""
    folder = publish(tmp_path, build_slow_model())
    files = {"saved_model.pb": "2/saved_model.pb", "metadata.json": f"2/{METADATA_ASSET}"}
    kubectl(
        "create",
        "configmap",
        "slow-model",
        f"--from-file={folder / 'saved_model.pb'}",
        f"--from-file={folder / METADATA_ASSET}",
    )

    def change(objects: Objects) -> None:
        items = [{"key": key, "path": path} for key, path in files.items()]
        pod = deployment(objects, "model-server")["spec"]["template"]["spec"]
        pod["volumes"].append({"name": "model", "configMap": {"name": "slow-model", "items": items}})
        mount = {"name": "model", "mountPath": f"/models/{MODEL_NAME}"}
        container(objects, "model-server")["volumeMounts"].append(mount)
        for manifest in objects:
            if manifest["kind"] == "HorizontalPodAutoscaler" and name_of(manifest) == "model-server":
                manifest["spec"] |= {"minReplicas": 1, "maxReplicas": 1}

    stage.end("model-server")
    with stage.changed(change):
        kubectl.rolled_out("model-server")
        wait_until(lambda: len(kubectl.pods("model-server")) == 1, "the one model server", timeout=120)
        yield
        stage.end("model-server")
    stage.settle()
    kubectl("delete", "configmap", "slow-model")


def test_overload(slow_model, direct, load: Load, stage: Stage, report):
    # A gateway may look for the model server that was ended a little longer.
    wait_until(lambda: not load.run(direct, rate="4", seconds=2).failed, "gateways that call the new one", timeout=60)
    calm = load.run(direct, rate="1", seconds=3 * len(CASES))
    assert not calm.failed
    assert min(request.seconds for request in calm) >= SLOWEST_IMAGE_S
    expected = {request.case: request.prediction for request in calm}
    assert set(expected) == set(CASES)

    # Enough requests at a time to keep the model busy: each is sent when an earlier one has its response.
    peak = goodput(load.run(direct, rate="0", workers=8, seconds=SECONDS))
    report(f"one image {calm.seconds(50) * 1000:.0f} ms; peak {peak:.1f} predictions a second")
    with stage.without_restarts():
        for times in (3, 10):
            outcome = load.run(direct, rate=str(round(times * peak)), seconds=SECONDS)
            ratio = goodput(outcome) / peak
            report(
                f"{times} x the peak: goodput {100 * ratio:.0f} % of it, "
                f"refusals p50, p95, p99 {[round(1000 * outcome.refused.seconds(part)) for part in (50, 95, 99)]} ms; "
                f"{outcome}"
            )
            assert ratio >= 0.8
            assert len(outcome.lost) <= len(outcome) / 50
            # Most at once. While the load grows the gateway learns how long a slot is held now, and some who were let
            # in before cannot be served in time.
            assert outcome.refused.seconds(50) < 0.2
            assert not outcome.wrong(expected)


def goodput(outcome: Outcome) -> float:
    """Predictions a second, after the settling time and while requests were still sent."""
    start, end = outcome[0].started + SETTLING_S, outcome[-1].started
    return sum(start <= request.started + request.seconds < end for request in outcome.succeeded) / (end - start)
