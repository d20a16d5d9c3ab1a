"""What must be known of a canary later, and by whoever looks at the cluster: a ConfigMap."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from scripts.canary.kubectl import Kubectl

_NAME = "canary-state"


@dataclass(frozen=True)
class State:
    """What ``make canary`` and ``make promote`` have done.

    Attributes:
        overlay: The overlay of the canary, or of the last promotion; empty if there was none.
        began: When it began, as text.
        counted: What each gateway had counted by then: series by pod.
        promoted: The container image of the model server since the last promotion; empty if there was none.
        before: The one before.
    """

    overlay: str = ""
    began: str = ""
    counted: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    promoted: str = ""
    before: str = ""

    def without_canary(self) -> "State":
        """The same after the canary has ended."""
        return replace(self, overlay=self.overlay if self.promoted else "", began="", counted={})


def load(kubectl: Kubectl) -> State:
    """The state that the cluster has; an empty one if it has none."""
    found = kubectl.get("configmap", _NAME)
    return State(**json.loads(found["data"]["state.json"])) if found else State()


def save(kubectl: Kubectl, state: State) -> None:
    """Keep the state, or remove it if it is empty."""
    if state == State():
        kubectl.delete(f"configmap/{_NAME}")
        return
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _NAME, "labels": {"app.kubernetes.io/part-of": "brain-tumor"}},
        "data": {"state.json": json.dumps(asdict(state), sort_keys=True)},
    }
    # On the server's side: no annotation keeps a second copy.
    kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=canary",
        "--filename=-",
        given=json.dumps(manifest),
    )
