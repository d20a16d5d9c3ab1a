"""The objects that kube-config makes."""

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.processes import ROOT

KUBE_CONFIG = ROOT / "kube-config"
OVERLAYS = sorted(path.parent for path in KUBE_CONFIG.glob("overlays/*/kustomization.yaml"))
JOBS = sorted(path.parent for path in KUBE_CONFIG.glob("jobs/*/job.yaml") if path.parent.name != "classify")
EKS_CLUSTER = KUBE_CONFIG / "clusters" / "eks"  # what all overlays of a cluster share
COMPONENTS = sorted(path.parent for path in KUBE_CONFIG.glob("components/*/kustomization.yaml"))
RULE_FILES = [KUBE_CONFIG / "components" / "alerts" / name for name in ("objectives.yaml", "alerts.yaml")]
OLDEST = "1.30"  # Kubernetes from which a preStop hook may sleep without a feature gate
TIERS = ("gateway", "model-server")
# All components but those below, in an order that works: monitoring and tracing patch objects of network-policies,
# admin-port one of both, oauth2-proxy needs what admin-port did, scale-by-waiting adds to what small says, and canary
# copies what all the others made of the model server.
TOGETHER = (
    *("portable-model-server", "small", "batching", "model-fetch", "network-policies", "monitoring", "alerts"),
    *("dashboard", "tracing", "keys", "admin-port", "oauth2-proxy", "scale-by-waiting", "canary"),
)
# gpu has another container image, and includes batching. Of those with a model from elsewhere each excludes the others.
ON_GPUS = ("gpu", "model-volume", "network-policies", "monitoring")
ON_KEDA = ("small", "network-policies", "monitoring", "scale-by-waiting-keda")  # which makes the HPAs itself
FROM_AN_IMAGE = ("model-image-volume",)  # newer than OLDEST
# Where the cluster assigns users, and somebody else makes the namespace.
ON_OPENSHIFT = (
    *("network-policies", "monitoring", "admin-port", "openshift-route", "oauth2-proxy", "openshift"),
    "existing-namespace",
)

Object = dict[str, Any]


def rule_groups() -> list[Object]:
    """The groups of Prometheus' rules, read anew; each needs what those before it record."""
    return [group for path in RULE_FILES for group in yaml.safe_load(path.read_text())["spec"]["groups"]]


def require(tool: str, where: str | None = None) -> str:
    """The path of a tool. Without the tool the test is skipped, but fails in CI, where every tool must be installed."""
    path = shutil.which(tool, path=where)
    if not path:
        message = f"needs {tool}, which is not installed"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


def go_module(module: str) -> Path:
    """The folder of a Go module, downloaded. Where that fails the test is skipped, but fails in CI."""
    command = [require("go"), "mod", "download", "-json", module]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=250)
    if done.returncode:
        message = f"cannot download {module}: {done.stdout}{done.stderr}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return Path(json.loads(done.stdout)["Dir"])


@cache
def build_text(folder: Path) -> str:
    kubectl = require("kubectl")
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(folder: Path) -> list[Object]:
    """A kustomization's objects; the caller may change them."""
    return [document for document in yaml.safe_load_all(build_text(folder)) if document]


def build_with(tmp_path: Path, *components: str, below: str = "base") -> list[Object]:
    """The base, or another folder of kube-config, with these components, in this order."""
    shutil.copytree(KUBE_CONFIG, tmp_path / "kube-config")
    folder = tmp_path / "kube-config" / "overlays" / "combined"
    folder.mkdir()
    added = [f"../../components/{name}" for name in components]
    kustomization = {"resources": [f"../../{below}"], "components": added}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return build(folder)


def one(objects: list[Object], kind: str, name: str) -> Object:
    """The object of a kind and a name."""
    (match,) = [candidate for candidate in of_kind(objects, kind) if candidate["metadata"]["name"] == name]
    return match


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [candidate for candidate in objects if candidate["kind"] == kind]


def pod_of(objects: list[Object], tier: str) -> Object:
    """A tier's pod, as its Deployment's template has it."""
    return one(objects, "Deployment", tier)["spec"]["template"]["spec"]


def container_of(objects: list[Object], tier: str) -> Object:
    (container,) = pod_of(objects, tier)["containers"]
    return container


def variables_of(objects: list[Object], tier: str) -> dict[str, str]:
    """The variables of a tier's container as it sees them, but for those of Secrets and resources."""
    values = {}
    for source in container_of(objects, tier).get("envFrom", []):
        values |= one(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    for variable in container_of(objects, tier).get("env", []):
        if "value" in variable:
            values[variable["name"]] = variable["value"]
    return values


def assert_restricted(pod: Object, container: Object) -> None:
    """A pod and its container have no more rights than the restricted Pod Security Standard, and write nowhere."""
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
