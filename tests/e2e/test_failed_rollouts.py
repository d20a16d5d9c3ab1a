"""A change that cannot work: the roll-out stops, the old pods keep serving, and the new pod says why."""

import base64
from collections.abc import Callable

import pytest

from brain_tumor.contract import MODEL_NAME
from tests.e2e.kubectl import Kubectl, KubectlError, name_of
from tests.e2e.load import Load
from tests.e2e.stage import Objects, Stage, container, deployment
from tests.processes import wait_until


def wrong_image(objects: Objects) -> None:
    container(objects, "gateway")["image"] = "brain-tumor-gateway:no-such-tag"


def broken_model(objects: Objects) -> None:
    objects.append(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "broken-model", "namespace": objects[0]["metadata"]["name"]},
            "binaryData": {"saved_model.pb": base64.b64encode(b"no graph").decode()},
        }
    )
    pod = deployment(objects, "model-server")["spec"]["template"]["spec"]
    source = {"name": "broken-model", "items": [{"key": "saved_model.pb", "path": "1/saved_model.pb"}]}
    pod["volumes"].append({"name": "broken-model", "configMap": source})
    mount = {"name": "broken-model", "mountPath": f"/models/{MODEL_NAME}"}
    container(objects, "model-server")["volumeMounts"].append(mount)


def wrong_model_name(objects: Objects) -> None:
    variable = {"name": "MODEL_NAME", "value": "no-such-model"}
    gateway = container(objects, "gateway")
    gateway["env"] = [*gateway.get("env", []), variable]


def waiting_reason(kubectl: Kubectl, pod: str) -> str:
    (status,) = kubectl.get("pod", pod)["status"]["containerStatuses"]
    waiting = status["state"].get("waiting", {})
    return f"{waiting.get('reason')}: {waiting.get('message')}"


def termination_message(kubectl: Kubectl, pod: str) -> str:
    (status,) = kubectl.get("pod", pod)["status"]["containerStatuses"]
    ended = status["state"].get("terminated") or status["lastState"].get("terminated") or {}
    return str(ended.get("message"))


def log(kubectl: Kubectl, pod: str) -> str:
    return kubectl("logs", pod)


@pytest.mark.parametrize(
    ("tier", "change", "where", "why"),
    [
        pytest.param("gateway", wrong_image, waiting_reason, "no-such-tag", id="image"),
        pytest.param(
            "model-server", broken_model, termination_message, "Some models did not become available", id="model"
        ),
        pytest.param("gateway", wrong_model_name, log, "NOT_FOUND: Servable not found", id="model-name"),
    ],
)
def test_failed_rollout(
    tier: str,
    change: Callable[[Objects], None],
    where: Callable[[Kubectl, str], str],
    why: str,
    direct,
    load: Load,
    kubectl: Kubectl,
    stage: Stage,
    expected,
    report,
):
    old = {name_of(pod) for pod in kubectl.pods(tier)}
    with load.during(direct, rate=40, at_least=1000) as outcome:
        with stage.changed(change):
            with pytest.raises(KubectlError, match="exceeded its progress deadline"):
                kubectl.rolled_out(tier)
            (new,) = {name_of(pod) for pod in kubectl.pods(tier)} - old
            wait_until(lambda: why in where(kubectl, new), f"the reason in {where.__name__}", timeout=60)
            assert {name_of(pod) for pod in kubectl.ready_pods(tier)} == old
        stage.settle()
    assert {name_of(pod) for pod in kubectl.pods(tier)} == old
    report(f"{where.__name__} says {why!r}; {outcome}")
    assert not outcome.failed
    assert not outcome.wrong(expected)
