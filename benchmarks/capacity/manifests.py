"""The sizes of both tiers' pods and the rules of their HPAs, as kube-config and the Dockerfiles have them."""

import itertools
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from brain_tumor.processes import ROOT

BASE = ROOT / "kube-config" / "base"
TIERS = ("gateway", "model-server")
_UNITS = {
    "": 1.0,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
}


@dataclass(frozen=True)
class Policy:
    """How much an HPA may change within a time: so many pods, or so many percent of those at its beginning."""

    kind: str  # Pods or Percent
    value: int
    period: float  # seconds


@dataclass(frozen=True)
class Rules:
    """One direction of an HPA: for how long its recommendations hold, and how fast it may change."""

    window: float  # seconds
    policies: tuple[Policy, ...]


# What holds where an HPA says nothing (https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/,
# "Default behavior").
_UP = Rules(0.0, (Policy("Percent", 100, 15.0), Policy("Pods", 4, 15.0)))
_DOWN = Rules(300.0, (Policy("Percent", 100, 15.0),))


@dataclass(frozen=True)
class Autoscaling:
    """An HPA that follows CPU, and the requests at hand of the gateways if it has a target for them."""

    least: int  # replicas
    most: int
    target: int  # percent of the CPU request
    up: Rules = _UP
    down: Rules = _DOWN
    at_hand: float | None = None  # requests for each replica


@dataclass(frozen=True)
class Tier:
    """A tier's pods: CPUs and bytes that each requests and may use at most, and the HPA."""

    name: str
    cpu_request: float
    cpu_limit: float
    memory_request: float
    memory_limit: float
    autoscaling: Autoscaling


def base() -> list[dict[str, Any]]:
    """The objects of kube-config/base, before kustomize changes their names."""
    return [
        document
        for path in sorted(BASE.rglob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in yaml.safe_load_all(path.read_text())
    ]


def built(*components: str) -> list[dict[str, Any]]:
    """What ``kubectl kustomize`` makes of kube-config/base with these components.

    Raises:
        OSError: There is no kubectl.
        ValueError: It cannot build this.
    """
    with tempfile.TemporaryDirectory() as folder:
        below = os.path.relpath(BASE.parent, Path(folder).resolve())
        parts = {"resources": [f"{below}/base"], "components": [f"{below}/components/{name}" for name in components]}
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(parts))
        done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise ValueError(f"kubectl cannot build kube-config with {', '.join(components)}: {done.stderr.strip()}")
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def tiers(objects: Iterable[dict[str, Any]]) -> tuple[Tier, Tier]:
    """The gateway and the model server among Kubernetes' objects.

    Raises:
        ValueError: A Deployment is missing, or what scales it: an HPA, or a ScaledObject of KEDA, which makes one.
    """
    by_name = {(one["kind"], one["metadata"]["name"]): one for one in objects}
    for name in TIERS:
        if scaled := by_name.get(("ScaledObject", name)):
            by_name["HorizontalPodAutoscaler", name] = {"spec": _hpa_of_keda(scaled["spec"])}
    for kind, name in itertools.product(("Deployment", "HorizontalPodAutoscaler"), TIERS):
        if (kind, name) not in by_name:
            raise ValueError(f"there is no {kind} {name}: give what kubectl kustomize prints for an overlay")
    found = [
        _tier(name, by_name["Deployment", name], by_name["HorizontalPodAutoscaler", name]["spec"]) for name in TIERS
    ]
    return found[0], found[1]


def model_server_name() -> str:
    """The DNS name behind which the gateways find the model servers, in full."""
    settings = (BASE / "gateway" / "settings.env").read_text()
    host = re.findall(r"^MODEL_SERVER_ADDRESS=(.+):\d+$", settings, re.MULTILINE)[0]
    namespace = yaml.safe_load((BASE / "kustomization.yaml").read_text())["namespace"]
    return f"{host}.{namespace}.svc.cluster.local"


def connection_age() -> float:
    """Seconds after which a model server ends a connection."""
    ages = {
        int(age)
        for path in (ROOT / "model-server").glob("Dockerfile*")
        for age in re.findall(r"grpc\.max_connection_age_ms=(\d+)", path.read_text())
    }
    (age,) = ages
    return age / 1e3


def quantity(text: object) -> float:
    """A quantity of Kubernetes such as ``250m`` or ``1Gi``, as a number.

    Raises:
        ValueError: It is none.
    """
    match = re.fullmatch(r"([\d.]+)([A-Za-z]*)", str(text))
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"{text} is no quantity such as 250m or 1Gi")
    return float(match[1]) * _UNITS[match[2]]


def _tier(name: str, deployment: dict[str, Any], hpa: dict[str, Any]) -> Tier:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    requests, limits = (container["resources"][kind] for kind in ("requests", "limits"))
    metrics = hpa["metrics"]
    (cpu,) = (metric["resource"]["target"] for metric in metrics if metric["type"] == "Resource")
    at_hand = [metric["external"]["target"]["averageValue"] for metric in metrics if metric["type"] == "External"]
    behavior = hpa.get("behavior", {})
    autoscaling = Autoscaling(
        hpa["minReplicas"],
        hpa["maxReplicas"],
        cpu["averageUtilization"],
        _rules(behavior.get("scaleUp", {}), _UP),
        _rules(behavior.get("scaleDown", {}), _DOWN),
        *map(quantity, at_hand),
    )
    sizes = [quantity(part[kind]) for kind in ("cpu", "memory") for part in (requests, limits)]
    return Tier(name, *sizes, autoscaling)


def _rules(given: dict[str, Any], default: Rules) -> Rules:
    policies = (
        tuple(Policy(policy["type"], policy["value"], policy["periodSeconds"]) for policy in given["policies"])
        if ("policies" in given)
        else default.policies
    )
    return Rules(given.get("stabilizationWindowSeconds", default.window), policies)


def _hpa_of_keda(scaled: dict[str, Any]) -> dict[str, Any]:
    """The HPA that KEDA makes of a ScaledObject (pkg/scalers: cpu_memory_scaler.go, prometheus_scaler.go)."""
    metrics: list[dict[str, Any]] = []
    for trigger in scaled["triggers"]:
        if trigger["type"] == "cpu":
            target: dict[str, Any] = {"averageUtilization": int(trigger["metadata"]["value"])}
            metrics.append({"type": "Resource", "resource": {"target": target}})
        else:
            target = {"averageValue": trigger["metadata"]["threshold"]}
            metrics.append({"type": "External", "external": {"target": target}})
    return {
        "minReplicas": scaled["minReplicaCount"],
        "maxReplicas": scaled["maxReplicaCount"],
        "metrics": metrics,
        "behavior": scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"],
    }
