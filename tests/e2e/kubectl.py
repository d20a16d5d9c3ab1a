"""The user's kubectl, on the cluster that KUBECONFIG names."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.processes import ROOT

WAIT_S = 120
# The registry of the container images, if the nodes do not have them already: REGISTRY=host/path/ make e2e
REGISTRY = os.environ.get("REGISTRY", "")


class KubectlError(AssertionError):
    """kubectl failed, or a condition was not met in time."""


class Kubectl:
    """Commands in one namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def command(self, *arguments: str) -> list[str]:
        return ["kubectl", f"--namespace={self.namespace}", *arguments]

    def __call__(
        self, *arguments: str, given: bytes | str | None = None, check: bool = True, timeout: float = 300
    ) -> str:
        """Run a command and return what it prints; ``given`` is its standard input."""
        data = given.encode() if isinstance(given, str) else given
        done = subprocess.run(self.command(*arguments), input=data, capture_output=True, timeout=timeout, cwd=ROOT)
        if check and done.returncode:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.decode()}{done.stdout.decode()[-2000:]}")
        return (done.stdout if done.returncode == 0 else done.stdout + done.stderr).decode()

    def get(self, *arguments: str) -> Any:
        """One object, or the items of a list."""
        document = json.loads(self("get", *arguments, "--output=json"))
        return document["items"] if document["kind"] == "List" else document

    def pods(self, tier: str) -> list[dict[str, Any]]:
        """A tier's pods that are not terminating, oldest first."""
        pods = self.get("pods", "--selector", f"app.kubernetes.io/name={tier}")
        living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return sorted(living, key=lambda pod: pod["metadata"]["creationTimestamp"])

    def ready_pods(self, tier: str) -> list[dict[str, Any]]:
        return [pod for pod in self.pods(tier) if is_ready(pod)]

    def patch(self, kind: str, name: str, patch: dict[str, Any]) -> None:
        self("patch", kind, name, "--type=merge", f"--patch={json.dumps(patch)}")

    def rolled_out(self, *tiers: str, timeout: float = WAIT_S) -> None:
        """Wait until all pods of these tiers are new and ready."""
        for tier in tiers:
            self("rollout", "status", f"deployment/{tier}", f"--timeout={timeout:.0f}s", timeout=timeout + 30)

    def gone(self, pod: str, timeout: float = WAIT_S) -> None:
        """Wait until a pod has ended and its object is deleted."""
        self("wait", "--for=delete", f"pod/{pod}", f"--timeout={timeout:.0f}s", timeout=timeout + 30)

    def predictions(self, pod: str) -> int:
        """How many calls a model server has completed, by its own metrics."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}:8501/proxy/monitoring/prometheus/metrics"
        page = self("get", "--raw", path)
        counts = re.findall(r'^:tensorflow:serving:request_count\{.*status="OK".*\} (.*)$', page, re.MULTILINE)
        return sum(int(float(count)) for count in counts)

    def events_and_logs(self) -> str:
        """The state of the cluster, for the report of a failed test."""
        parts = [
            self("get", "pods,hpa,endpointslices", "--output=wide", check=False),
            self("get", "events", "--sort-by=.lastTimestamp", check=False)[-8000:],
        ]
        for tier in ("gateway", "model-server", "model-server-canary"):
            selector = f"--selector=app.kubernetes.io/name={tier}"
            log = self("logs", selector, "--prefix", "--tail=1000", check=False).splitlines()
            parts.append("\n".join([line for line in log if "/predict 200" not in line][-60:]))
        return "\n".join(parts)


def build(folder: Path) -> str:
    """A kustomization's objects as YAML, with the registry's container images."""
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.replace("image: brain-tumor-", f"image: {REGISTRY}brain-tumor-")


def name_of(manifest: dict[str, Any]) -> str:
    return str(manifest["metadata"]["name"])


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return ("Ready", "True") in [(condition["type"], condition["status"]) for condition in conditions]
