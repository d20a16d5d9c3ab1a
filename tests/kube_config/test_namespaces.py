"""A namespace of one's own over any overlay moves everything into it, and changes nothing else."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.kube_config.manifests import (
    COMPONENTS,
    FROM_AN_IMAGE,
    KUBE_CONFIG,
    ON_GPUS,
    ON_KEDA,
    ON_OPENSHIFT,
    OVERLAYS,
    TIERS,
    TOGETHER,
    Object,
    build,
    build_text,
    container_of,
    of_kind,
    one,
)
from tests.processes import ROOT

GIVEN, OWN = "brain-tumor", "team-a"
# What lies below, and the components that an overlay of one's own adds.
CASES = {
    "kind": ("overlays/kind", [name for name in TOGETHER if name not in ("small", "network-policies")]),
    "eks": ("overlays/eks", [name for name in TOGETHER if name not in ("network-policies", "admin-port")]),
    "base": ("base", [*TOGETHER]),
    "gpus": ("base", [*ON_GPUS]),
    "keda": ("base", [*ON_KEDA]),
    "image": ("base", [*FROM_AN_IMAGE]),
    "openshift": ("base", [*ON_OPENSHIFT]),
    "volume": ("jobs/volume", ["openshift"]),
    "s3": ("jobs/s3", []),
    "merge": ("jobs/merge", []),
}
DOCUMENT = (ROOT / "docs" / "kubernetes.md").read_text()
OPERATORS = {"logins"}  # ConfigMaps that only an operator's overlay has

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def write(tmp_path_factory) -> Write:
    """A function that writes an overlay beside the project's own: write("mine", resources=[...], ...)."""
    root = tmp_path_factory.mktemp("namespaces") / "kube-config"
    shutil.copytree(KUBE_CONFIG, root)

    def write_overlay(name: str, **kustomization: object) -> Path:
        folder = root / "overlays" / name
        folder.mkdir()
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return folder

    return write_overlay


@pytest.fixture(scope="module", params=CASES)
def case(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def parts(case) -> dict[str, list[str]]:
    below, names = CASES[case]
    return {"resources": [f"../../{below}"], "components": [f"../../components/{name}" for name in names]}


@pytest.fixture(scope="module")
def plain(write, case, parts) -> Path:
    """The folder of the overlay without a namespace of its own."""
    return write(f"{case}-plain", **parts)


def in_order(objects: list[Object]) -> list[Object]:
    return sorted(objects, key=lambda manifest: (manifest["kind"], manifest["metadata"]["name"]))


def moved(objects: list[Object]) -> list[Object]:
    """The objects as they must be in a namespace of one's own: every reference is the same."""
    for manifest in objects:
        field = "name" if manifest["kind"] == "Namespace" else "namespace"
        assert manifest["metadata"][field] == GIVEN
        manifest["metadata"][field] = OWN
    return in_order(objects)


def config_maps_read(manifest: Object) -> set[str]:
    """The ConfigMaps that the pods of an object name."""
    pod = manifest["spec"]["template"]["spec"]
    sources = [source for container in pod["containers"] for source in container.get("envFrom", [])]
    volumes = [
        source for volume in pod["volumes"] for source in (volume, *volume.get("projected", {}).get("sources", []))
    ]
    named = [source["configMapRef"] for source in sources if "configMapRef" in source]
    return {
        source["name"] for source in (*named, *(volume["configMap"] for volume in volumes if "configMap" in volume))
    }


def test_every_overlay_and_component_is_tried():
    assert {path.name for path in OVERLAYS} <= CASES.keys()
    assert {path.name for path in COMPONENTS} == {name for _, names in CASES.values() for name in names}


def test_a_namespace_of_one_s_own_over_all(write, case, parts, plain):
    assert in_order(build(write(f"{case}-own", namespace=OWN, **parts))) == moved(build(plain))


def test_components_over_a_namespace_of_one_s_own(write, case, parts, plain):
    """A component must not bring the base's namespace back: policies would be where no pod is."""
    write(f"{case}-below", namespace=OWN, resources=parts["resources"])
    above = write(f"{case}-above", resources=[f"../{case}-below"], components=parts["components"])
    assert in_order(build(above)) == moved(build(plain))


def test_the_pods_read_what_there_is(plain):
    objects = build(plain)
    there = {manifest["metadata"]["name"] for manifest in of_kind(objects, "ConfigMap")}
    for kind in ("Deployment", "Job"):
        for manifest in of_kind(objects, kind):
            assert config_maps_read(manifest) <= there | OPERATORS


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda path: path.name)
def test_no_name_has_the_namespace_in_it(folder):
    """A name such as model-server.brain-tumor.svc would lead out of a namespace of one's own."""
    assert f".{GIVEN}" not in build_text(folder)


def test_an_overlay_takes_nothing_from_the_rest_of_the_cluster(objects):
    """Whoever deletes one deletes no more than its own namespace."""
    namespaces = of_kind(objects, "Namespace")
    assert {manifest["metadata"]["name"] for manifest in namespaces} == {GIVEN}
    others = [manifest for manifest in objects if manifest not in namespaces]
    assert {manifest["metadata"].get("namespace") for manifest in others} == {GIVEN}
    assert {manifest["kind"] for manifest in others}.isdisjoint({"IngressClass", "IngressClassParams"})


def test_a_setting_in_a_namespace_of_one_s_own(write):
    """As docs/kubernetes.md has it: the generator names the base's namespace."""
    generator = {"name": "gateway", "namespace": GIVEN, "behavior": "merge", "literals": ["GATEWAY_URL_FETCH=false"]}
    folder = write("setting", namespace=OWN, resources=["../kind"], configMapGenerator=[generator])
    objects = build(folder)
    (source,) = container_of(objects, "gateway")["envFrom"]
    settings = one(objects, "ConfigMap", source["configMapRef"]["name"])
    assert settings["metadata"]["namespace"] == OWN
    assert settings["data"]["GATEWAY_URL_FETCH"] == "false"


def test_the_overlays_in_the_document(write):
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)]
    overlays = [block for block in blocks if "resources" in block]
    assert len(overlays) == 2
    for number, overlay in enumerate(overlays):
        objects = build(write(f"documented-{number}", **overlay))
        namespaced = [manifest for manifest in objects if manifest["kind"] != "Namespace"]
        assert {manifest["metadata"]["namespace"] for manifest in namespaced} == {overlay["namespace"]}


def test_the_patches_for_another_prometheus_in_the_document(write):
    blocks = re.findall(r"```yaml\n(patches:\n.*?)```", DOCUMENT, re.DOTALL)
    (patches,) = (block for block in blocks if "kind: PodMonitor" in block)
    names = ("network-policies", "monitoring", "admin-port")
    parts = {"resources": ["../../base"], "components": [f"../../components/{name}" for name in names]}
    before = build(write("prometheus-before", **parts))
    after = build(write("prometheus-after", **parts, **yaml.safe_load(patches)))
    monitors = [
        {one(objects, "PodMonitor", tier)["metadata"]["labels"]["release"] for tier in TIERS}
        for objects in (before, after)
    ]
    assert monitors == [{"kube-prometheus-stack"}, {"prometheus"}]
    rules = [one(objects, "NetworkPolicy", "model-server")["spec"]["ingress"][1] for objects in (before, after)]
    names = [rule["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for rule in rules]
    assert names == ["monitoring", "openshift-user-workload-monitoring"]
    assert rules[0]["ports"] == rules[1]["ports"] == [{"port": "rest"}]
