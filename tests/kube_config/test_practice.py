"""The good practice that every Deployment of ours follows."""

import pytest

from tests.kube_config.manifests import TIERS, assert_restricted, container_of, of_kind, one, pod_of


@pytest.fixture(params=TIERS)
def tier(request) -> str:
    return request.param


def test_selectors_are_the_stable_name_and_nothing_else(objects, tier):
    name = {"app.kubernetes.io/name": tier}
    deployment = one(objects, "Deployment", tier)
    assert deployment["spec"]["selector"] == {"matchLabels": name}
    assert name.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert one(objects, "Service", tier)["spec"]["selector"] == name
    assert one(objects, "PodDisruptionBudget", tier)["spec"]["selector"] == {"matchLabels": name}


def test_service_ports_exist(objects, tier):
    ports = {port["name"]: port["containerPort"] for port in container_of(objects, tier)["ports"]}
    for port in one(objects, "Service", tier)["spec"]["ports"]:
        assert port["targetPort"] in ports
        if one(objects, "Service", tier)["spec"].get("clusterIP") == "None":
            assert port["port"] == ports[port["targetPort"]]  # a headless Service maps no ports


def test_families_of_addresses(objects):
    """Clients have the gateway's Service in both; a model server with two addresses would be two replicas for it."""
    policies = {tier: one(objects, "Service", tier)["spec"]["ipFamilyPolicy"] for tier in TIERS}
    assert policies == {"gateway": "PreferDualStack", "model-server": "SingleStack"}


def test_the_hpa_owns_the_number_of_replicas(objects, tier):
    assert "replicas" not in one(objects, "Deployment", tier)["spec"]
    hpa = one(objects, "HorizontalPodAutoscaler", tier)["spec"]
    assert hpa["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": tier}
    assert 2 <= hpa["minReplicas"] < hpa["maxReplicas"]
    metric, *others = hpa["metrics"]
    assert {other["type"] for other in others} <= {"External"}  # test_scaling.py has the rest
    if "nvidia.com/gpu" in container_of(objects, tier)["resources"]["limits"]:
        assert metric["type"] == "Pods"  # test_gpu.py has the rest
    else:
        assert metric["resource"]["name"] == "cpu"
        assert metric["resource"]["target"]["averageUtilization"] <= 80


def test_disruptions_leave_a_replica(objects, tier):
    assert one(objects, "PodDisruptionBudget", tier)["spec"]["maxUnavailable"] == 1
    strategy = one(objects, "Deployment", tier)["spec"]["strategy"]
    assert strategy == {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


def test_resources(objects, tier):
    resources = container_of(objects, tier)["resources"]
    assert {"cpu", "memory"} <= resources["requests"].keys()
    assert {"cpu", "memory"} <= resources["limits"].keys()


def test_restricted(objects, tier):
    pod, container = pod_of(objects, tier), container_of(objects, tier)
    assert_restricted(pod, container)
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    kinds = {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
    assert [volume for volume in pod["volumes"] if not kinds & volume.keys()] == []
    assert all("sizeLimit" in volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume)
    assert "/tmp" in [mount["mountPath"] for mount in container["volumeMounts"]]  # the only folder that can be written
    (namespace,) = of_kind(objects, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_no_token_and_no_service_variables(objects, tier):
    pod = pod_of(objects, tier)
    assert pod["serviceAccountName"] == tier
    assert pod["automountServiceAccountToken"] is False
    assert one(objects, "ServiceAccount", tier)["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_replicas_are_spread(objects, tier):
    spread = pod_of(objects, tier)["topologySpreadConstraints"]
    assert {constraint["topologyKey"] for constraint in spread} == {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }


def test_a_failed_container_reports_the_end_of_its_log(objects, tier):
    assert container_of(objects, tier)["terminationMessagePolicy"] == "FallbackToLogsOnError"
