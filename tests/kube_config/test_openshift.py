"""On OpenShift: what its default security context constraint admits, where its DNS is, and where a Route leads.

Source of the constraint, restricted-v2: openshift/cluster-kube-apiserver-operator, bindata/bootkube/scc-manifests.
"""

from copy import deepcopy

import pytest
from jsonschema import Draft7Validator
from kubernetes_validate import latest_version, validate

from tests.kube_config.custom_resources import completed, schema_of
from tests.kube_config.manifests import (
    OLDEST,
    ON_OPENSHIFT,
    Object,
    assert_restricted,
    build_with,
    go_module,
    of_kind,
    one,
)
from tests.kube_config.network_policy import Pod, allows
from tests.kube_config.read_by_programs import settings

API = "github.com/openshift/api@v0.0.0-20250704153732-ad766c4e6d8e"
FOREIGN = {"PodMonitor", "Route"}  # kinds whose schemas Kubernetes does not have
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected"}
VOLUMES |= {"secret"}
DNS = Pod("openshift-dns", {"dns.operator.openshift.io/daemonset-dns": "default"})


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> list[Object]:
    return build_with(tmp_path_factory.mktemp("service"), *ON_OPENSHIFT)


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> list[Object]:
    return build_with(tmp_path_factory.mktemp("job"), "openshift", below="jobs/s3")


@pytest.fixture(params=["service", "job"])
def objects(request) -> list[Object]:
    return deepcopy(request.getfixturevalue(request.param))


@pytest.fixture(scope="module")
def route_schema() -> Draft7Validator:
    """OpenShift's own schema of a Route, from its Go module."""
    return schema_of(go_module(API) / "route/v1/zz_generated.crd-manifests/routes.crd.yaml")


def templates(objects: list[Object]) -> list[Object]:
    return [manifest["spec"]["template"] for kind in ("Deployment", "Job") for manifest in of_kind(objects, kind)]


@pytest.mark.parametrize("version", [OLDEST, latest_version()])
def test_every_object_is_valid(objects, version):
    for manifest in objects:
        if manifest["kind"] not in FOREIGN:
            validate(manifest, version, strict=True)


def test_the_constraint_admits_every_pod(objects):
    assert templates(objects)
    for template in templates(objects):
        pod = template["spec"]
        # Users and groups are the namespace's own: a pod that asks for others is refused.
        assert pod["securityContext"].keys() <= {"runAsNonRoot", "seccompProfile", "fsGroupChangePolicy"}
        for container in pod["containers"]:
            assert_restricted(pod, container)
        for volume in pod["volumes"]:
            assert volume.keys() - {"name"} <= VOLUMES
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()


def test_without_the_component_pods_ask_for_a_user(tmp_path):
    pods = [template["spec"]["securityContext"] for template in templates(build_with(tmp_path, "oauth2-proxy"))]
    assert len(pods) == 3
    assert all({"runAsUser", "runAsGroup"} <= context.keys() for context in pods)


def test_the_pods_that_look_names_up_reach_dns(service, tmp_path):
    policies = of_kind([*service, *build_with(tmp_path, "openshift", below="jobs/volume")], "NetworkPolicy")
    for protocol in ("TCP", "UDP"):
        for name, does in (("gateway", True), ("oauth2-proxy", True), ("classify", True), ("model-server", False)):
            assert allows(policies, Pod("brain-tumor", {"app.kubernetes.io/name": name}), DNS, 5353, protocol) is does


def test_nobody_makes_or_deletes_the_namespace(service):
    assert not of_kind(service, "Namespace")


def test_the_route_is_valid(service, route_schema):
    (manifest,) = of_kind(service, "Route")
    assert manifest["apiVersion"] == "route.openshift.io/v1"
    route = completed(manifest, route_schema.schema)
    route_schema.validate(route)
    route["spec"]["tls"]["terminaton"] = "edge"
    assert not route_schema.is_valid(route)


@pytest.mark.parametrize("leads_to", ["gateway", "oauth2-proxy"])
def test_the_route_leads_to_pods_and_to_no_metrics(leads_to, tmp_path):
    last = ["oauth2-proxy"] if leads_to == "oauth2-proxy" else []
    objects = build_with(tmp_path, "admin-port", "openshift-route", *last)
    (route,) = of_kind(objects, "Route")
    assert route["spec"]["to"] == {"kind": "Service", "name": leads_to}
    assert route["metadata"]["namespace"] == one(objects, "Service", leads_to)["metadata"]["namespace"]
    (port,) = one(objects, "Service", leads_to)["spec"]["ports"]
    assert route["spec"]["port"]["targetPort"] == port["targetPort"] == "http"
    assert settings(objects).admin_bind
    assert route["spec"]["tls"]["insecureEdgeTerminationPolicy"] == "Redirect"


def test_a_route_to_the_metrics_stops_the_build(tmp_path):
    with pytest.raises(AssertionError, match="readinessProbe"):
        build_with(tmp_path, "openshift-route", "admin-port")
