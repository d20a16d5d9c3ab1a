"""Faults from outside: they kill or stop a container's process, or drop a pod's packets."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from tests.e2e.kubectl import Kubectl

# Runs on the node. A container's first process is number 1 in its own process namespace. The path of its control group
# contains the container's id, with every runtime and cgroup driver.
_SIGNAL = """
import os, pathlib, signal, sys, time
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        if sys.argv[1] not in (process / "cgroup").read_text():
            continue
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        if status["NSpid"].split()[-1] == "1":
            os.kill(int(process.name), signal.Signals[sys.argv[2]])
            print(time.time())
            sys.exit()
    except (FileNotFoundError, ProcessLookupError):
        continue
sys.exit("no such container on this node")
"""


class Faults:
    """The privileged pods that cause the faults, one on each node."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl

    def kill_container(self, pod: dict[str, Any]) -> float:
        """SIGKILL a pod's container and return the time, in seconds since the epoch by its node's clock."""
        return self._signal(pod, "SIGKILL")

    @contextlib.contextmanager
    def stop(self, pod: dict[str, Any]) -> Iterator[float]:
        """Stop a pod's process by SIGSTOP while the block runs. Its kernel still acknowledges what is sent to it."""
        moment = self._signal(pod, "SIGSTOP")
        try:
            yield moment
        finally:
            self._signal(pod, "SIGCONT")

    @contextlib.contextmanager
    def silence(self, pod: dict[str, Any]) -> Iterator[float]:
        """Silently drop every packet between a pod and other pods while the block runs. The node still reaches it."""
        address = pod["status"]["podIP"]
        rules = [f"FORWARD -s {address} -j DROP", f"FORWARD -d {address} -j DROP"]
        add, remove = ("; ".join(f"iptables -w {verb} {rule}" for rule in rules) for verb in ("-I", "-D"))
        self._on_node_of(pod, "sh", "-ec", add)
        try:
            yield time.time()
        finally:
            self._on_node_of(pod, "sh", "-c", remove)

    def _signal(self, pod: dict[str, Any], signal: str) -> float:
        container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        return float(self._on_node_of(pod, "python3", "-", container, signal, given=_SIGNAL))

    def _on_node_of(self, pod: dict[str, Any], *command: str, given: str | None = None) -> str:
        return self.on_node(pod["spec"]["nodeName"], *command, given=given)

    def on_node(self, node: str, *command: str, given: str | None = None) -> str:
        """Run a command in the privileged pod of a node; ``given`` is its standard input."""
        (name,) = self._kubectl("get", "pods", f"--field-selector=spec.nodeName={node}", "--output=name").split()
        return self._kubectl("exec", "--stdin", name, "--", *command, given=given)

    def nodes(self) -> list[str]:
        """The nodes that have such a pod, always in the same order."""
        return sorted(pod["spec"]["nodeName"] for pod in self._kubectl.get("pods"))
