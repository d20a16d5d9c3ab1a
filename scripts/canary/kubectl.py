"""The user's kubectl, in one namespace of the cluster that KUBECONFIG names."""

import json
import re
import shutil
import subprocess
from typing import Any, NoReturn

from scripts.canary.errors import CanaryError

NAME = "app.kubernetes.io/name"
_COMMAND_S = 120  # of a command that waits for nothing
_TRACE = re.compile(r"[EWI]\d{4} ")  # lines for kubectl's own developers
_MARGIN_S = 60  # beyond the time that a roll-out may take, at whose end kubectl says why

Object = dict[str, Any]


class Kubectl:
    """Commands in a namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def __call__(self, *arguments: str, given: str | None = None, seconds: float = _COMMAND_S) -> str:
        """Run a command and return what it prints; ``given`` is its standard input.

        Raises:
            CanaryError: It failed, or took longer than ``seconds``.
        """
        return run_kubectl("--namespace", self.namespace, *arguments, given=given, seconds=seconds)

    def get(self, kind: str, name: str) -> Object | None:
        """An object, or None if there is none of that name."""
        text = self("get", kind, name, "--ignore-not-found", "--output", "json")
        return json.loads(text) if text.strip() else None

    def pods(self, name: str) -> list[Object]:
        """The pods of that stable name which are not about to end."""
        pods = json.loads(self("get", "pods", "--selector", f"{NAME}={name}", "--output", "json"))["items"]
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def apply(self, manifests: str, *, only: str | None = None) -> None:
        """Apply manifests, or those of one stable name alone, and print what changes."""
        selector = ["--selector", f"{NAME}={only}"] if only else []
        # As make deploy does it: told a namespace, kubectl refuses what an overlay has in another one.
        printed = run_kubectl("apply", *selector, "--filename", "-", given=manifests)
        for line in printed.splitlines():
            if not line.endswith("unchanged"):
                print(f"  {line}")

    def delete(self, *names: str) -> None:
        """Delete objects, as kind/name, if they are there. Pods end by themselves afterwards."""
        self("delete", *names, "--ignore-not-found", "--wait=false")

    def rolled_out(self, deployment: str) -> None:
        """Wait until all pods of a Deployment are new and ready.

        Raises:
            CanaryError: They are not in time; it says what the pods say.
        """
        found = self.get("deployment", deployment) or {"spec": {}}
        # The deadline begins anew with each pod that becomes ready; when it passes, kubectl waits no longer.
        pods = found["spec"].get("replicas", 1) + 1
        seconds = pods * found["spec"].get("progressDeadlineSeconds", 600) + _MARGIN_S
        print(f"Waiting for {deployment} ...", flush=True)
        try:
            self("rollout", "status", f"deployment/{deployment}", f"--timeout={seconds}s", seconds=seconds + _MARGIN_S)
        except CanaryError as error:
            reasons = "".join(f"\n  {reason}" for reason in self._why(deployment))
            raise CanaryError(f"{deployment} does not become ready: {error}{reasons}") from None

    def _why(self, deployment: str) -> list[str]:
        """What the containers of a Deployment's pods say that are not ready."""
        reasons = []
        for pod in self.pods(deployment):
            status = pod["status"]
            for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
                waiting = container["state"].get("waiting", {})
                ended = container["state"].get("terminated") or container.get("lastState", {}).get("terminated") or {}
                said = [waiting.get("reason"), waiting.get("message"), ended.get("message")]
                if not container["ready"] and any(said):
                    reasons.append(f"{pod['metadata']['name']}: {': '.join(filter(None, said))}".strip())
            for condition in status.get("conditions", []):
                if condition["type"] == "PodScheduled" and condition["status"] == "False":
                    reasons.append(f"{pod['metadata']['name']}: {condition.get('message', 'is not scheduled')}")
        return reasons


def run_kubectl(*arguments: str, given: str | None = None, seconds: float = _COMMAND_S) -> str:
    """Run kubectl and return what it prints.

    Raises:
        CanaryError: It is not installed, it failed, or it took longer than ``seconds``.
    """
    tool = shutil.which("kubectl") or _missing()
    try:
        done = subprocess.run(  # noqa: S603 the command is ours, and no shell reads it
            [tool, *arguments], input=given, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise CanaryError(f"kubectl {' '.join(arguments)} took longer than {seconds:.0f} s") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if not _TRACE.match(line)]
        raise CanaryError("\n".join(said) or f"kubectl {' '.join(arguments)} failed")
    return done.stdout


def _missing() -> NoReturn:
    raise CanaryError("kubectl is needed: install it")
