"""The component canary: a second model server like the first, with pods that nothing else takes for the first."""

import re
import shutil
import tomllib
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from scripts.canary.bounds import Bounds
from scripts.canary.overlay import OBJECTS, SHARES_FILE, Shares
from tests.kube_config.manifests import (
    KUBE_CONFIG,
    OVERLAYS,
    TOGETHER,
    Object,
    build,
    build_with,
    container_of,
    of_kind,
    one,
    pod_of,
)
from tests.kube_config.network_policy import Pod, allows, selects
from tests.kube_config.read_by_programs import model_server_flags, settings
from tests.processes import ROOT

CANARY, STABLE = "model-server-canary", "model-server"
DOCUMENT = (ROOT / "docs" / "canary.md").read_text()
# Below, and the components that come before and after.
CASES = {
    **{path.name: (f"overlays/{path.name}", (), ()) for path in OVERLAYS},
    "together": ("base", tuple(name for name in TOGETHER if name != "canary"), ()),
    "gpu": ("base", ("gpu",), ()),
    "fetched": ("base", ("model-fetch", "network-policies", "monitoring"), ()),
    "openshift before": ("base", ("network-policies", "openshift"), ()),
    "openshift after": ("base", ("network-policies",), ("openshift", "existing-namespace")),
}


@pytest.fixture(scope="module", params=CASES)
def built(request, tmp_path_factory) -> list[Object]:
    below, before, after = CASES[request.param]
    return build_with(tmp_path_factory.mktemp("canary"), *before, "canary", *after, below=below)


@pytest.fixture
def objects(built) -> list[Object]:
    return deepcopy(built)


def named_for_the_canary(value: Object) -> Object:
    """An object in which the model server's stable name is the canary's."""
    text = re.sub(rf"(app\.kubernetes\.io/name: ){STABLE}$", rf"\1{CANARY}", yaml.safe_dump(value), flags=re.MULTILINE)
    return yaml.safe_load(text)


def test_it_is_the_model_server_of_the_overlay_under_another_name(objects):
    stable, canary = (one(objects, "Deployment", name)["spec"] for name in (STABLE, CANARY))
    assert canary.pop("replicas") == 1
    assert canary == named_for_the_canary(stable)
    assert one(objects, "Service", CANARY)["spec"] == named_for_the_canary(one(objects, "Service", STABLE)["spec"])


def test_nothing_else_takes_its_pods_for_the_model_server_s(objects):
    """A PodMonitor and network policies mean both; a Service, a budget and a Deployment never do."""
    pods = {
        name: one(objects, "Deployment", name)["spec"]["template"]["metadata"]["labels"] for name in (STABLE, CANARY)
    }
    for kind in ("Deployment", "Service", "PodDisruptionBudget"):
        for name, labels in pods.items():
            selecting = []
            for manifest in of_kind(objects, kind):
                selector = manifest["spec"]["selector"]
                if selects({"matchLabels": selector} if kind == "Service" else selector, labels):
                    selecting.append(manifest["metadata"]["name"])
            assert selecting == [name]
    for monitor in of_kind(objects, "PodMonitor"):
        if monitor["metadata"]["name"] == STABLE:
            assert all(selects(monitor["spec"]["selector"], labels) for labels in pods.values())


def test_everything_of_it_has_its_name_and_the_namespace_of_the_others(objects):
    found = [manifest for manifest in objects if "canary" in manifest["metadata"]["name"]]
    names = [f"{manifest['kind'].lower()}/{manifest['metadata']['name']}" for manifest in found]
    assert sorted(names) == sorted(OBJECTS)  # which make rollback removes
    namespace = one(objects, "Deployment", STABLE)["metadata"]["namespace"]
    for manifest in found:
        assert manifest["metadata"]["labels"]["app.kubernetes.io/name"] == CANARY  # by which it is applied alone
        assert manifest["metadata"]["labels"]["app.kubernetes.io/part-of"] == "brain-tumor"
        assert manifest["metadata"]["namespace"] == namespace


def test_it_never_keeps_a_node_from_its_drain(objects):
    budget = one(objects, "PodDisruptionBudget", CANARY)["spec"]
    assert budget["minAvailable"] == 0
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_only_the_gateways_reach_it_where_policies_are(objects):
    policies = of_kind(objects, "NetworkPolicy")
    namespace = one(objects, "Deployment", STABLE)["metadata"]["namespace"]
    labels = one(objects, "Deployment", CANARY)["spec"]["template"]["metadata"]["labels"]
    canary = Pod(namespace, labels, {"grpc": 8500, "rest": 8501})
    assert allows(policies, Pod(namespace, {"app.kubernetes.io/name": "gateway"}), canary, 8500)
    stranger = Pod(namespace, {"app.kubernetes.io/name": "stranger"})
    assert allows(policies, stranger, canary, 8500) is not any(
        policy["metadata"]["name"] == "default-deny" for policy in policies
    )


def test_without_policies_it_brings_none(tmp_path):
    assert not of_kind(build_with(tmp_path, "canary"), "NetworkPolicy")


def test_the_gateways_find_it(objects):
    assert settings(objects).canary_server == f"{CANARY}:{model_server_flags(objects).port}"
    assert one(objects, "Service", CANARY)["spec"]["clusterIP"] == "None"


def test_the_gateways_read_its_shares_from_a_folder_that_follows_the_config_map(objects):
    (mount,) = [mount for mount in container_of(objects, "gateway")["volumeMounts"] if mount["name"] == "canary"]
    (volume,) = [volume for volume in pod_of(objects, "gateway")["volumes"] if volume["name"] == "canary"]
    assert Path(settings(objects).canary_file) == Path(mount["mountPath"], SHARES_FILE)
    assert "subPath" not in mount
    assert volume["configMap"] == {"name": "canary", "optional": True}
    # By itself it gets no request.
    assert Shares.read(one(objects, "ConfigMap", "canary")["data"][SHARES_FILE]) == Shares(0, 0)


def test_without_the_component_the_gateways_know_nothing_of_it(tmp_path):
    assert not settings(build_with(tmp_path)).canary_server


def test_the_bounds_are_complete_and_the_document_has_each():
    path = KUBE_CONFIG / "components" / "canary" / "bounds.toml"
    bounds = Bounds.read(path)
    assert 0 < bounds.agreement < 1
    for name, value in tomllib.loads(path.read_text()).items():
        assert f"| `{name}` | {value} |" in DOCUMENT


def test_the_document_s_overlay(tmp_path):
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)]
    (trial,) = [block for block in blocks if block.get("components") == ["../../components/canary"]]
    shutil.copytree(KUBE_CONFIG, tmp_path / "kube-config")
    overlays = tmp_path / "kube-config" / "overlays"
    for name, overlay in {"own": {"namespace": "team-a", "resources": ["../kind"]}, "trial": trial}.items():
        (overlays / name).mkdir()
        (overlays / name / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    objects = build(overlays / "trial")
    assert container_of(objects, CANARY)["image"] == "registry.example/brain-tumor-model-server:2026-12-01"
    assert container_of(objects, STABLE)["image"].startswith("brain-tumor-model-server-portable:")
    assert one(objects, "ConfigMap", "canary")["metadata"]["namespace"] == "team-a"
    assert Shares.read(one(objects, "ConfigMap", "canary")["data"][SHARES_FILE]) == Shares(10, 50)
