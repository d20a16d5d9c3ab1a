"""An overlay as kustomize builds it: with the images that run, and with or without the canary."""

import json
import os
import re
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from scripts.canary.errors import CanaryError
from scripts.canary.kubectl import Object, run_kubectl

_COMPONENT = Path(__file__).parents[2] / "kube-config" / "components" / "canary"
STABLE, CANARY, GATEWAY = "model-server", "model-server-canary", "gateway"
# What the component adds, beside what it changes of others.
OBJECTS = (*(f"{kind}/{CANARY}" for kind in ("deployment", "service", "poddisruptionbudget")), "configmap/canary")
SHARES_FILE = "canary.toml"  # in the ConfigMap canary, and in the gateways' folder


@dataclass(frozen=True)
class Shares:
    """How much a canary does.

    Attributes:
        share: Percent of the requests that it answers.
        shadow: Percent of the other requests that it answers too, for the comparison alone.
    """

    share: float = 0
    shadow: float = 0

    @classmethod
    def read(cls, text: str) -> "Shares":
        """The shares that a file of the gateways has."""
        found = tomllib.loads(text)
        return cls(found.get("share", 0), found.get("shadow", 0))

    def file(self) -> str:
        """The file that the gateways read."""
        return f"share = {self.share:g}\nshadow = {self.shadow:g}\n"


@dataclass(frozen=True)
class Trial:
    """A canary: its container image and its shares."""

    image: str
    shares: Shares


class Overlay:
    """A folder with a ``kustomization.yaml``."""

    def __init__(self, folder: Path) -> None:
        """Build it once.

        Raises:
            CanaryError: There is none, it does not build, or it has the canary in it, whose own file then decides.
        """
        if not (folder / "kustomization.yaml").is_file():
            raise CanaryError(
                f"there is no {folder}/kustomization.yaml: OVERLAY names a folder of kube-config/overlays"
            )
        self.name = folder.name
        self._folder = folder
        self._plain = run_kubectl("kustomize", str(folder))
        namespaces = set(re.findall(r"^  namespace: (.+)$", "\n".join(self._deployments()), re.MULTILINE))
        if len(namespaces) != 1:
            raise CanaryError(f"{folder} has the tiers in no namespace of their own: {', '.join(sorted(namespaces))}")
        (self.namespace,) = namespaces
        self.has_canary = bool(re.search(rf"^  name: {CANARY}$", self._plain, re.MULTILINE))

    def model_server_image(self) -> str:
        """The container image of the model server as the overlay has it."""
        for deployment in self._deployments():
            if re.search(rf"^  name: {STABLE}$", deployment, re.MULTILINE):
                # kustomize writes each container as an item of six spaces, whatever it holds.
                for item in re.split(r"^      - ", deployment, flags=re.MULTILINE):
                    fields = dict(re.findall(r"^(?:        )?(name|image): (.+)$", item, re.MULTILINE))
                    if fields.get("name") == STABLE and "image" in fields:
                        return fields["image"].strip("\"'")
        raise CanaryError(f"{self._folder} has no Deployment {STABLE} with a container of that name")

    def manifests(self, stable_image: str, trial: Trial | None = None) -> str:
        """What it makes with this container image of the model server, and with this canary.

        Raises:
            CanaryError: kustomize does not build it.
        """
        with tempfile.TemporaryDirectory(prefix="canary-") as made:
            folder = Path(made).resolve()  # kustomize follows paths from where the folder really is
            patches = [_image_patch(STABLE, stable_image)]
            components = []
            if trial:
                components = [os.path.relpath(_COMPONENT.resolve(), folder)]
                patches += [
                    _image_patch(CANARY, trial.image),
                    _patch("ConfigMap", "canary", {"data": {SHARES_FILE: trial.shares.file()}}),
                ]
            kustomization = {
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "resources": [os.path.relpath(self._folder.resolve(), folder)],
                "components": components,
                "patches": patches,
            }
            (folder / "kustomization.yaml").write_text(json.dumps(kustomization))  # JSON is YAML, too
            return run_kubectl("kustomize", str(folder))

    def _deployments(self) -> list[str]:
        documents = re.split(r"^---$", self._plain, flags=re.MULTILINE)
        return [document for document in documents if re.search(r"^kind: Deployment$", document, re.MULTILINE)]


def model_container(deployment: Object) -> Object:
    """The container of the model server, or of the canary; an overlay may have put others beside it, or before.

    Raises:
        CanaryError: The Deployment has none.
    """
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        if container["name"] == STABLE:
            return dict(container)
    raise CanaryError(f"the Deployment {deployment['metadata']['name']} has no container {STABLE}")


def _image_patch(deployment: str, image: str) -> dict[str, object]:
    containers = [{"name": STABLE, "image": image}]
    return _patch("Deployment", deployment, {"spec": {"template": {"spec": {"containers": containers}}}})


def _patch(kind: str, name: str, change: Object) -> dict[str, object]:
    version = "apps/v1" if kind == "Deployment" else "v1"
    patch = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **change}
    return {"target": {"kind": kind, "name": name}, "patch": json.dumps(patch)}


def images_entry(name: str, image: str) -> str:
    """The entry under ``images:`` in an overlay that gives the container image of a name this one."""
    (old, _, _), (new, tag, digest) = _parts(name), _parts(image)
    lines = [f"  - name: {old}"]
    if new != old:
        lines.append(f"    newName: {new}")
    lines.append(f"    digest: {digest}" if digest else f"    newTag: {json.dumps(tag)}")
    return "images:\n" + "\n".join(lines)


def _parts(image: str) -> tuple[str, str, str]:
    """Name, tag and digest of a container image; the digest may be empty."""
    name, _, digest = image.partition("@")
    if ":" not in name.rpartition("/")[2]:  # a registry's port is no tag
        return name, "latest", digest
    name, _, tag = name.rpartition(":")
    return name, tag, digest
