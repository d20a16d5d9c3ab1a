"""The files that make clusters, against the schemas of the tools that read them."""

import json

import pytest
import yaml
from jsonschema import Draft7Validator

from tests.kube_config.manifests import KUBE_CONFIG, go_module
from tests.processes import ROOT

EKSCTL = "github.com/weaveworks/eksctl@v0.215.0"


@pytest.fixture(scope="module")
def eksctl_schema() -> Draft7Validator:
    """eksctl's own schema of its ClusterConfig, from its Go module."""
    schema = go_module(EKSCTL) / "pkg/apis/eksctl.io/v1alpha5/assets/schema.json"
    return Draft7Validator(json.loads(schema.read_text()))


@pytest.fixture
def eks_cluster() -> dict:
    return yaml.safe_load((KUBE_CONFIG / "eks-cluster.yaml").read_text())


def test_eks_cluster(eksctl_schema, eks_cluster):
    eksctl_schema.validate(eks_cluster)
    assert eks_cluster["autoModeConfig"]["enabled"] is True
    assert {"name": "metrics-server"} in eks_cluster["addons"]  # the HPAs read it
    assert tuple(int(part) for part in eks_cluster["metadata"]["version"].split(".")) >= (1, 30)


def test_a_wrong_field_of_the_eks_cluster_is_found(eksctl_schema, eks_cluster):
    eks_cluster["autoModeConfig"]["nodePool"] = []
    assert not eksctl_schema.is_valid(eks_cluster)


def test_kind_cluster():
    """Source of the fields: https://kind.sigs.k8s.io/docs/user/configuration/"""
    cluster = yaml.safe_load((ROOT / "kind-config.yaml").read_text())
    assert cluster == {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": "brain-tumor",
        "nodes": [{"role": "control-plane"}, {"role": "worker"}, {"role": "worker"}],
    }
