"""Kubernetes knows every field and accepts every value."""

import pytest
from kubernetes_validate import ValidationError, latest_version, validate

from portable_model_server.serving.config import metrics_path
from tests.kube_config.manifests import EKS_CLUSTER, OLDEST, build, build_with, container_of, one
from tests.processes import ROOT

# Kinds of EKS and of the Prometheus Operator, whose schemas Kubernetes does not have.
FOREIGN = {"IngressClassParams", "PodMonitor", "PrometheusRule"}


@pytest.mark.parametrize("version", [OLDEST, latest_version()])
def test_every_object_is_valid(objects, version):
    for manifest in (*objects, *build(EKS_CLUSTER)):
        if manifest["kind"] not in FOREIGN:
            validate(manifest, version, strict=True)


def test_an_unknown_field_is_found(objects):
    deployment = one(objects, "Deployment", "gateway")
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(ValidationError):
        validate(deployment, OLDEST, strict=True)


def test_pod_monitors_select_pods_by_their_label_and_ports_by_their_name(tmp_path):
    objects = build_with(tmp_path, "monitoring")
    for tier, port, path in (
        ("gateway", "http", "/metrics"),
        ("model-server", "rest", metrics_path((ROOT / "model-server" / "monitoring.config").read_text())),
    ):
        monitor = one(objects, "PodMonitor", tier)
        assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
        assert monitor["spec"]["selector"] == {"matchLabels": {"app.kubernetes.io/name": tier}}
        # All keys, because no schema finds a field that the operator does not know.
        assert monitor["spec"].keys() == {"selector", "podMetricsEndpoints"}
        assert monitor["spec"]["podMetricsEndpoints"] == [{"port": port, "path": path, "interval": "15s"}]
        assert port in [entry["name"] for entry in container_of(objects, tier)["ports"]]
