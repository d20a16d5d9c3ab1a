"""What an EKS cluster needs once, its overlay's load balancer, and the registry in docs/eks.md."""

import re

import pytest
import yaml

from tests.kube_config.manifests import EKS_CLUSTER, KUBE_CONFIG, TIERS, Object, build, of_kind, one
from tests.processes import ROOT

EKS = KUBE_CONFIG / "overlays" / "eks"
DOCUMENT = (ROOT / "docs" / "eks.md").read_text()


@pytest.fixture
def eks() -> list[Object]:
    return build(EKS)


@pytest.fixture
def cluster() -> list[Object]:
    return build(EKS_CLUSTER)


def test_the_ingress_leads_to_auto_mode_s_load_balancer(eks, cluster):
    """Source of the names: https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html"""
    (ingress,) = of_kind(eks, "Ingress")
    (of_class,), (parameters,) = (of_kind(cluster, kind) for kind in ("IngressClass", "IngressClassParams"))
    assert ingress["spec"]["ingressClassName"] == of_class["metadata"]["name"]
    assert of_class["spec"] == {
        "controller": "eks.amazonaws.com/alb",
        "parameters": {
            "apiGroup": "eks.amazonaws.com",
            "kind": "IngressClassParams",
            "name": parameters["metadata"]["name"],
        },
    }
    assert parameters["apiVersion"] == "eks.amazonaws.com/v1"
    # All keys, because no schema finds a field that Auto Mode does not know.
    assert parameters["spec"].keys() == {"scheme", "loadBalancerAttributes"}


def test_the_ingress_leads_to_the_gateway_s_pods(eks):
    ingress = one(eks, "Ingress", "gateway")
    annotations = ingress["metadata"]["annotations"]
    assert annotations["alb.ingress.kubernetes.io/target-type"] == "ip"
    assert annotations["alb.ingress.kubernetes.io/success-codes"] == "200"
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/", "Prefix")
    backend = path["backend"]["service"]
    service = one(eks, "Service", backend["name"])["spec"]
    assert backend["port"]["name"] in [port["name"] for port in service["ports"]]


def test_the_cluster_enforces_network_policies(cluster):
    """Source: https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html"""
    (switch,) = of_kind(cluster, "ConfigMap")
    assert switch["metadata"] == {"name": "amazon-vpc-cni", "namespace": "kube-system"}
    assert switch["data"] == {"enable-network-policy-controller": "true"}


def test_the_document_applies_what_the_cluster_needs_before_it_deploys():
    steps = re.findall(r"^(kubectl apply --kustomize|make deploy).*$", DOCUMENT, re.MULTILINE)
    assert steps == ["kubectl apply --kustomize", "make deploy"]
    assert f"kubectl apply --kustomize {EKS_CLUSTER.relative_to(ROOT)}\n" in DOCUMENT


def test_the_documented_step_replaces_every_sample_registry(eks):
    (sample,) = re.findall(r'sed -i "s/([^/]*)/', DOCUMENT)
    images = yaml.safe_load((EKS / "kustomization.yaml").read_text())["images"]
    assert {image["name"] for image in images} == {f"brain-tumor-{tier}" for tier in TIERS}
    for image in images:
        assert image["newName"] == f"{sample}.amazonaws.com/{image['name']}"
