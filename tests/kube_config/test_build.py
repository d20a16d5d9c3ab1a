"""Overlays and components build, and a changed setting replaces the pods."""

import shutil

import pytest

from tests.kube_config.manifests import (
    COMPONENTS,
    FROM_AN_IMAGE,
    KUBE_CONFIG,
    ON_GPUS,
    ON_KEDA,
    ON_OPENSHIFT,
    TOGETHER,
    build,
    build_with,
    container_of,
    of_kind,
    one,
)

NAMES = [path.name for path in COMPONENTS]
NEEDS = {"openshift-route": ("admin-port",)}  # without which the build stops


@pytest.mark.parametrize("component", NAMES)
def test_each_component_changes_the_base(component, tmp_path):
    needed = NEEDS.get(component, ())
    without = build_with(tmp_path / "without", *needed) if needed else build(KUBE_CONFIG / "base")
    assert build_with(tmp_path / "with", *needed, component) != without


def test_all_components_go_together(everything):
    assert set(NAMES) == {*TOGETHER, *ON_GPUS, *ON_KEDA, *ON_OPENSHIFT, *FROM_AN_IMAGE}
    assert container_of(everything, "model-server")["image"].startswith("brain-tumor-model-server-portable:")


def test_the_portable_server_has_another_image_and_needs_less_memory_and_nothing_else(tmp_path):
    portable, base = build_with(tmp_path, "portable-model-server"), build(KUBE_CONFIG / "base")
    container, usual = container_of(portable, "model-server"), container_of(base, "model-server")
    container["image"] = container["image"].replace("-portable", "")
    assert container["resources"]["requests"].pop("memory") == "512Mi"
    assert usual["resources"]["requests"].pop("memory") == "1Gi"
    assert portable == base


def test_a_changed_setting_replaces_the_pods(tmp_path):
    shutil.copytree(KUBE_CONFIG, tmp_path / "kube-config")
    settings = tmp_path / "kube-config" / "base" / "gateway" / "settings.env"
    settings.write_text(settings.read_text() + "GATEWAY_DEADLINE_SECONDS=9\n")
    before, after = (build(folder / "base") for folder in (KUBE_CONFIG, tmp_path / "kube-config"))
    pod, changed = (one(objects, "Deployment", "gateway")["spec"]["template"] for objects in (before, after))
    assert pod != changed
    assert one(before, "Deployment", "model-server") == one(after, "Deployment", "model-server")


def test_monitoring_reaches_the_model_server_only_where_policies_would_keep_it_out(tmp_path):
    alone = build_with(tmp_path / "alone", "monitoring")
    assert not of_kind(alone, "NetworkPolicy")
    both = build_with(tmp_path / "both", "network-policies", "monitoring")
    ingress = one(both, "NetworkPolicy", "model-server")["spec"]["ingress"]
    assert [rule["ports"] for rule in ingress] == [[{"port": "grpc"}], [{"port": "rest"}]]


@pytest.mark.parametrize("components", [("monitoring", "admin-port"), ("admin-port", "monitoring")])
def test_monitoring_finds_the_gateway_s_metrics_in_either_order(components, tmp_path):
    monitor = one(build_with(tmp_path, *components), "PodMonitor", "gateway")
    assert [endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]] == ["admin"]
