"""The container images run as whichever user a cluster assigns, as OpenShift does: a high number, with group 0."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.kubectl import Kubectl
from tests.e2e.load import CASES, Load

USER = 1_000_680_000
ASSIGNED = {"runAsUser": USER, "runAsGroup": 0, "fsGroup": USER}


def run(kubectl: Kubectl, tier: str, **variables: str) -> str:
    """Run a pod of its own like those of a tier, but for its user and these variables; return its address."""
    pod = kubectl.get("deployment", tier)["spec"]["template"]["spec"]
    pod["securityContext"] |= ASSIGNED
    del pod["topologySpreadConstraints"]
    (container,) = pod["containers"]
    container["env"] = [*container.get("env", []), *({"name": name, "value": variables[name]} for name in variables)]
    name = f"any-user-{tier}"
    # With the tier's label, by which the network policies let it through.
    metadata = {"name": name, "labels": {"app.kubernetes.io/name": tier}}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod}
    kubectl("apply", "--filename=-", given=json.dumps(manifest))
    kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=120s")
    assert kubectl("exec", name, "--", "id", "-u").strip() == str(USER)
    address = str(kubectl.get("pod", name)["status"]["podIP"])
    return f"[{address}]" if ":" in address else address


@pytest.fixture
def gateway(direct, kubectl: Kubectl) -> Iterator[str]:
    """The address of a gateway with that user, which calls a model server with that user alone."""
    try:
        model_server = run(kubectl, "model-server")
        yield run(kubectl, "gateway", MODEL_SERVER_ADDRESS=f"{model_server}:8500")
    finally:
        names = ("any-user-gateway", "any-user-model-server")
        kubectl("delete", "pods", *names, "--ignore-not-found", "--grace-period=1")


def test_predictions_of_any_user(gateway: str, load: Load, expected, report) -> None:
    outcome = load.run(f"{gateway}:9696", rate="4", seconds=2)
    report(str(outcome))
    assert {request.case for request in outcome.succeeded} == set(CASES)
    assert not outcome.failed
    assert not outcome.wrong(expected)
