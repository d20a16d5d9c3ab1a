"""Both tiers in a namespace of their own, applied as a user would apply them, and restored after each test."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.kubectl import Kubectl, build, name_of
from tests.processes import wait_until

OVERLAYS = Path(__file__).parent / "overlays"
NAMESPACE = "brain-tumor-e2e"
TIERS = ("gateway", "model-server")
REPLICAS = 2

Objects = list[dict[str, Any]]


class Stage:
    """The objects of an overlay in the cluster."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl
        self.overlay = OVERLAYS / "direct"

    def apply(self, change: Callable[[Objects], None] | None = None, *, overlay: Path | None = None) -> None:
        """Apply the overlay, or another one, after a change to its objects. This undoes an earlier change."""
        objects = [document for document in yaml.safe_load_all(build(overlay or self.overlay)) if document]
        if change:
            change(objects)
        self.kubectl("apply", "--filename=-", given=yaml.safe_dump_all(objects))

    def put_on(self, overlay: str) -> None:
        """Apply that overlay unless it is applied already."""
        if self.overlay != OVERLAYS / overlay:
            self.overlay = OVERLAYS / overlay
            self.apply()

    @contextmanager
    def changed(self, change: Callable[[Objects], None]) -> Iterator[None]:
        """Change the objects while the block runs."""
        self.apply(change)
        try:
            yield
        finally:
            self.apply()

    def settle(self, model_servers: int = REPLICAS) -> None:
        """Wait until each tier has all its replicas, new and ready."""
        self.kubectl.rolled_out(*TIERS)
        for tier, count in zip(TIERS, (REPLICAS, model_servers), strict=True):
            wait_until(lambda tier=tier, count=count: self._has(tier, count), f"{count} pods of {tier}", timeout=120)

    def end(self, tier: str) -> None:
        """End a tier's pods at once, as no client waits for them, without what would make new ones: apply does."""
        selector = f"--selector=app.kubernetes.io/name={tier}"
        self.kubectl("delete", "deployments,replicasets", selector, "--cascade=orphan")
        self.kubectl("delete", "pods", selector, "--grace-period=1")

    def put_away(self) -> None:
        """Remove everything, and wait until it is gone."""
        # At once, as no client waits for these pods, and without what would make new ones.
        self.kubectl("delete", "deployments,daemonsets,replicasets", "--all", "--cascade=orphan")
        self.kubectl("delete", "pods", "--all", "--force", "--grace-period=0")
        self.kubectl("delete", "namespace", self.kubectl.namespace, "--ignore-not-found", "--wait", timeout=300)

    @contextmanager
    def without_restarts(self) -> Iterator[None]:
        """Check that no container restarts while the block runs, in the pods that exist before and after it."""
        before = self._restarts()
        yield
        grown = {pod: count for pod, count in self._restarts().items() if count > before.get(pod, 0)}
        assert not grown, f"containers restarted: {grown}"

    def _has(self, tier: str, count: int) -> bool:
        return len(self.kubectl.pods(tier)) == len(self.kubectl.ready_pods(tier)) == count

    def _restarts(self) -> dict[str, int]:
        """How often the container of each pod was restarted."""
        return {
            name_of(pod): sum(status["restartCount"] for status in pod["status"].get("containerStatuses", []))
            for pod in self.kubectl.get("pods")
        }


def deployment(objects: Objects, name: str) -> dict[str, Any]:
    """The one Deployment of that name."""
    (match,) = [manifest for manifest in objects if manifest["kind"] == "Deployment" and name_of(manifest) == name]
    return match


def container(objects: Objects, tier: str) -> dict[str, Any]:
    """A tier's one container."""
    (only,) = deployment(objects, tier)["spec"]["template"]["spec"]["containers"]
    return only
