"""Values in YAML, Dockerfiles and code are equal where they must be, and times and sizes fit each other."""

import re
from pathlib import Path

import pytest

from brain_tumor.contract import MODEL_NAME
from gateway import VERSION
from gateway.app import create_app
from gateway.edge.server import GRACEFUL_TIMEOUT
from gateway.model.client import ModelClient
from gateway.settings import Settings
from tests.kube_config.manifests import EKS_CLUSTER, TIERS, Object, build, container_of, of_kind, one, pod_of
from tests.kube_config.read_by_programs import model_server_flags, settings
from tests.processes import ROOT

UNITS = {"Mi": 1 << 20, "Gi": 1 << 30}
DNS_CACHE_S = 30  # CoreDNS' longest, as kind and EKS set it
AGE_JITTER = 1.1  # of grpc.max_connection_age_ms
GATEWAY_UNDER_LOAD = 140 << 20  # bytes, master and worker under 8 clients, measured
BYTES_A_PIXEL = 18  # while an image is decoded, measured; tests/brain_tumor/image/test_strips.py holds it


def grace(objects: list[Object], tier: str) -> tuple[int, int]:
    """Seconds of the preStop sleep, and of the whole grace period."""
    sleep = container_of(objects, tier)["lifecycle"]["preStop"]["sleep"]["seconds"]
    return sleep, pod_of(objects, tier)["terminationGracePeriodSeconds"]


def test_tensorflow_takes_weights_for_what_they_are(objects):
    """As benchmarks.tensorflow_memory measures it; without it variables are slower than constants."""
    variables = {variable["name"]: variable.get("value") for variable in container_of(objects, "model-server")["env"]}
    assert variables["TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"] == "1"


def test_ports(objects):
    flags = model_server_flags(objects)
    ports = {port["name"]: port["containerPort"] for port in container_of(objects, "model-server")["ports"]}
    assert ports == {"grpc": flags.port, "rest": flags.rest_api_port}
    ports = {port["name"]: port["containerPort"] for port in container_of(objects, "gateway")["ports"]}
    binds = {"http": settings(objects).bind, "admin": settings(objects).admin_bind}
    assert ports == {name: int(bind.rpartition(":")[2]) for name, bind in binds.items() if bind}


def test_probes_and_metrics_are_where_the_gateway_has_them(objects):
    port = "admin" if settings(objects).admin_bind else "http"
    gateway = container_of(objects, "gateway")
    assert {gateway[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "readiness", "liveness")} == {port}
    for monitor in of_kind(objects, "PodMonitor"):
        if monitor["metadata"]["name"] == "gateway":
            assert monitor["spec"]["podMetricsEndpoints"][0]["port"] == port
    for ingress in of_kind(objects, "Ingress"):
        assert port == "admin", "an Ingress lets everyone read the metrics at the gateway's own port"
        (found,) = (one["containerPort"] for one in gateway["ports"] if one["name"] == port)
        assert ingress["metadata"]["annotations"]["alb.ingress.kubernetes.io/healthcheck-port"] == str(found)
    for service in of_kind(objects, "Service"):
        assert "admin" not in [port["targetPort"] for port in service["spec"]["ports"]]


def test_the_keys_are_mounted_where_the_gateway_reads_them(everything):
    pod, container = pod_of(everything, "gateway"), container_of(everything, "gateway")
    (file,) = (variable["value"] for variable in container["env"] if variable["name"] == "GATEWAY_KEYS_FILE")
    (mount,) = (mount for mount in container["volumeMounts"] if mount["name"] == "keys")
    assert str(Path(file).parent) == mount["mountPath"]
    assert "subPath" not in mount
    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "keys")
    command = f"kubectl create secret generic {volume['secret']['secretName']}"
    assert command in (ROOT / "docs" / "keys.md").read_text()
    assert f"--from-file={Path(file).name}" in (ROOT / "docs" / "keys.md").read_text()


def test_the_gateway_finds_the_model_server(objects):
    assert settings(objects).model_server == f"model-server:{model_server_flags(objects).port}"
    service = one(objects, "Service", "model-server")["spec"]
    assert service["clusterIP"] == "None"
    assert model_server_flags(objects).port in [port["port"] for port in service["ports"]]
    assert settings(objects).model_name == model_server_flags(objects).model_name == MODEL_NAME


def test_images(objects):
    for tier in TIERS:
        name, _, tag = container_of(objects, tier)["image"].rpartition(":")
        assert tag == VERSION
        assert re.search(rf"(^|/)brain-tumor-{tier}(-portable|-gpu)?$", name)


@pytest.mark.parametrize(
    ("tier", "dockerfile"),
    [
        ("gateway", "gateway/Dockerfile"),
        ("model-server", "model-server/Dockerfile"),
        ("model-server", "model-server/Dockerfile.portable"),
    ],
)
def test_users(objects, tier, dockerfile):
    context = pod_of(objects, tier)["securityContext"]
    (user,) = re.findall(r"^USER (.*)$", (ROOT / dockerfile).read_text(), re.MULTILINE)
    assert user == f"{context['runAsUser']}:{context['runAsGroup']}"


def test_the_gateways_refuse_before_a_model_server_does(objects):
    gateways = one(objects, "HorizontalPodAutoscaler", "gateway")["spec"]["maxReplicas"]
    in_flight = settings(objects).max_in_flight
    # Each gateway makes one more call: it refreshes the model's metadata.
    assert model_server_flags(objects).grpc_max_threads >= gateways * (in_flight + 1)


def test_threads_follow_the_cpu_limit(objects):
    container = container_of(objects, "model-server")
    (variable,) = (variable for variable in container["env"] if variable["name"] == "CPU_LIMIT")
    assert variable["valueFrom"]["resourceFieldRef"]["resource"] == "limits.cpu"
    assert "--tensorflow_inter_op_parallelism=$(CPU_LIMIT)" in container["args"]
    assert "--tensorflow_intra_op_parallelism=1" in container["args"]


def test_a_gateway_has_time_to_end(objects):
    sleep, whole = grace(objects, "gateway")
    assert sleep >= 5
    assert whole - sleep > GRACEFUL_TIMEOUT
    assert settings(objects).deadline < GRACEFUL_TIMEOUT


def test_a_model_server_serves_until_the_last_gateway_has_left(objects):
    sleep, whole = grace(objects, "model-server")
    age = dict(model_server_flags(objects).grpc_options)["grpc.max_connection_age_ms"]
    assert sleep >= DNS_CACHE_S + int(age) / 1000 * AGE_JITTER
    assert whole - sleep > settings(objects).deadline


def test_the_gateway_s_memory_holds_the_largest_requests(objects):
    limit = container_of(objects, "gateway")["resources"]["limits"]["memory"]
    values = settings(objects)
    images = values.decoders * values.max_pixels * BYTES_A_PIXEL
    needed = GATEWAY_UNDER_LOAD + images + values.max_held
    assert int(limit[:-2]) * UNITS[limit[-2:]] >= needed


def test_the_gateway_s_temporary_folder_is_not_for_uploads(objects):
    """Uploads stay in memory, as tests/gateway/test_app.py checks: the largest of them would not fit there."""
    (volume,) = (volume for volume in pod_of(objects, "gateway")["volumes"] if "emptyDir" in volume)
    limit = volume["emptyDir"]["sizeLimit"]
    assert int(limit[:-2]) * UNITS[limit[-2:]] < settings(objects).max_body


def test_probes(objects):
    app = create_app(Settings(), ModelClient("localhost:1", MODEL_NAME))
    routes = {str(rule) for rule in app.url_map.iter_rules()}
    gateway = container_of(objects, "gateway")
    paths = {kind: gateway[kind]["httpGet"]["path"] for kind in ("startupProbe", "readinessProbe", "livenessProbe")}
    # Only readiness may need the model: a gateway without its model must not be killed.
    assert paths == {"startupProbe": "/livez", "readinessProbe": "/readyz", "livenessProbe": "/livez"}
    assert set(paths.values()) <= routes
    flags = model_server_flags(objects)
    assert flags.enable_grpc_healthcheck_service
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container_of(objects, "model-server")[kind]["grpc"]["port"] == flags.port


def test_the_load_balancer_of_eks(objects):
    ingresses = of_kind(objects, "Ingress")
    if not ingresses:
        return
    (ingress,), (parameters,) = ingresses, of_kind(build(EKS_CLUSTER), "IngressClassParams")
    annotations = {
        key.removeprefix("alb.ingress.kubernetes.io/"): value
        for key, value in ingress["metadata"]["annotations"].items()
    }
    attributes = {
        attribute["key"]: int(attribute["value"]) for attribute in parameters["spec"]["loadBalancerAttributes"]
    }
    assert attributes["idle_timeout.timeout_seconds"] < Settings().idle_timeout
    assert parameters["spec"]["scheme"] == "internal"
    assert annotations["healthcheck-path"] == "/readyz"
    delay = int(annotations["target-group-attributes"].removeprefix("deregistration_delay.timeout_seconds="))
    sleep, _ = grace(objects, "gateway")
    assert settings(objects).deadline < delay < sleep
    assert pod_of(objects, "model-server")["nodeSelector"] == {"kubernetes.io/arch": "amd64"}


def test_every_dockerfile_sends_only_what_exists():
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        path = line.removeprefix("!")
        if line.startswith("!") and path != "models":  # a user's own, which git ignores
            assert Path(ROOT / path).exists(), line
