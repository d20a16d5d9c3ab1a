"""The component tracing: what both tiers' programs read, the way to the collector, and what an overlay changes."""

import re
import shutil

import pytest
import yaml

from tests.kube_config.manifests import (
    KUBE_CONFIG,
    TIERS,
    Object,
    build,
    build_with,
    container_of,
    of_kind,
    one,
    variables_of,
)
from tests.kube_config.network_policy import Endpoint, Outside, Pod, allows
from tests.kube_config.read_by_programs import settings, traces
from tests.processes import ROOT

NAMESPACE = "brain-tumor"
COLLECTOR = Pod("observability", {"app.kubernetes.io/name": "otel-collector"})
OTHERS: dict[str, Endpoint] = {
    "impostor": Pod("elsewhere", {"app.kubernetes.io/name": "otel-collector"}),
    "neighbour": Pod(NAMESPACE),
    "dns": Pod("kube-system", {"k8s-app": "kube-dns"}),
    "internet": Outside("8.8.8.8"),
}
DNS = Pod("openshift-dns", {"dns.operator.openshift.io/daemonset-dns": "default"})
PORTS = (53, 80, 443, 4317, 4318, 8500)
DOCUMENT = (ROOT / "docs" / "tracing.md").read_text()


def pod(tier: str) -> Pod:
    return Pod(NAMESPACE, {"app.kubernetes.io/name": tier})


def reached(objects: list[Object], tier: str) -> set[tuple[str, int]]:
    """Whom a tier's pods reach at which port, of the collector and of the others."""
    policies = of_kind(objects, "NetworkPolicy")
    return {
        (name, port)
        for name, endpoint in {"collector": COLLECTOR, **OTHERS}.items()
        for port in PORTS
        if allows(policies, pod(tier), endpoint, port)
    }


@pytest.fixture(scope="module")
def tracing(tmp_path_factory) -> list[Object]:
    return build_with(tmp_path_factory.mktemp("tracing"), "network-policies", "tracing")


def test_both_tiers_have_traces_on_and_nothing_else_has_changed(tracing, tmp_path):
    without = build_with(tmp_path, "network-policies")
    for tier in TIERS:
        assert traces(tracing, tier)
        assert not traces(without, tier)
        added = {name for name in variables_of(tracing, tier) if name not in variables_of(without, tier)}
        assert {name for name in added if not name.startswith("OTEL_")} == set()
    assert settings(tracing) == settings(without)


def test_both_tiers_have_the_same_variables(tracing):
    gateway, model_server = (variables_of(tracing, tier) for tier in TIERS)
    names = [name for name in gateway if name.startswith("OTEL_")]
    assert len(names) > 2
    assert {name: gateway[name] for name in names} == {name: model_server[name] for name in names}


@pytest.mark.parametrize("tier", TIERS)
def test_a_span_says_which_pod_it_is_from(tracing, tier):
    """A variable in a variable must stand before it."""
    names = [variable["name"] for variable in container_of(tracing, tier)["env"]]
    used = re.findall(r"\$\((\w+)\)", variables_of(tracing, tier)["OTEL_RESOURCE_ATTRIBUTES"])
    assert sorted(used) == ["POD_NAME", "POD_NAMESPACE"]
    assert all(names.index(name) < names.index("OTEL_RESOURCE_ATTRIBUTES") for name in used)


def test_a_changed_variable_replaces_the_pods(tmp_path, tracing):
    shutil.copytree(KUBE_CONFIG, tmp_path / "kube-config")
    file = tmp_path / "kube-config" / "components" / "tracing" / "tracing.env"
    file.write_text(file.read_text().replace("SAMPLER_ARG=0.1", "SAMPLER_ARG=0.2"))
    folder = tmp_path / "kube-config" / "overlays" / "changed"
    folder.mkdir()
    listed = [f"../../components/{name}" for name in ("network-policies", "tracing")]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({"resources": ["../../base"], "components": listed}))
    changed = build(folder)
    for tier in TIERS:
        assert variables_of(changed, tier)["OTEL_TRACES_SAMPLER_ARG"] == "0.2"
        assert one(changed, "Deployment", tier) != one(tracing, "Deployment", tier)


def test_each_tier_reaches_the_collector_and_its_name(tracing, tmp_path):
    without = build_with(tmp_path, "network-policies")
    assert reached(tracing, "gateway") == reached(without, "gateway") | {("collector", 4317)}
    assert reached(without, "model-server") == set()
    assert reached(tracing, "model-server") == {("collector", 4317), ("dns", 53)}


def test_without_network_policies_the_gateway_is_shut_in_by_none(tmp_path):
    policies = of_kind(build_with(tmp_path, "tracing"), "NetworkPolicy")
    assert allows(policies, pod("gateway"), OTHERS["internet"], 443)
    assert allows(policies, pod("gateway"), pod("model-server"), 8500)


def test_the_model_server_finds_the_collector_on_openshift(tmp_path):
    policies = of_kind(build_with(tmp_path, "network-policies", "tracing", "openshift"), "NetworkPolicy")
    for tier in TIERS:
        assert allows(policies, pod(tier), DNS, 5353, "UDP")


def test_the_document_s_overlay_names_another_collector(tmp_path):
    (overlay,) = [
        block
        for block in map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL))
        if "components" in block
    ]
    shutil.copytree(KUBE_CONFIG, tmp_path / "kube-config")
    folder = tmp_path / "kube-config" / "overlays" / "own"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    objects = build(folder)
    default = "http://otel-collector.observability:4317"
    for tier in TIERS:
        endpoint = variables_of(objects, tier)["OTEL_EXPORTER_OTLP_ENDPOINT"]
        assert endpoint != default
        namespace = endpoint.rpartition(":")[0].rpartition(".")[2]
        assert traces(objects, tier)
        policies = of_kind(objects, "NetworkPolicy")
        assert allows(policies, pod(tier), Pod(namespace), 4317)
        assert not allows(policies, pod(tier), COLLECTOR, 4317)
