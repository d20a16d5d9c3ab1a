"""The sizes of both tiers' pods and the rules of their HPAs, as kube-config and the Dockerfiles have them."""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
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
    """An HPA that follows CPU."""

    least: int  # replicas
    most: int
    target: int  # percent of the CPU request
    up: Rules = _UP
    down: Rules = _DOWN


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


def tiers(objects: Iterable[dict[str, Any]]) -> tuple[Tier, Tier]:
    """The gateway and the model server among Kubernetes' objects.

    Raises:
        ValueError: A Deployment or an HPA is missing.
    """
    by_name = {(one["kind"], one["metadata"]["name"]): one for one in objects}
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
    (metric,) = hpa["metrics"]
    behavior = hpa.get("behavior", {})
    autoscaling = Autoscaling(
        hpa["minReplicas"],
        hpa["maxReplicas"],
        metric["resource"]["target"]["averageUtilization"],
        _rules(behavior.get("scaleUp", {}), _UP),
        _rules(behavior.get("scaleDown", {}), _DOWN),
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
