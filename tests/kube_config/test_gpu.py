"""The component gpu: a pod that gets a GPU and a server that uses it, as far as it can be seen without one."""

import re
from fractions import Fraction

import pytest
import yaml

from portable_model_server.api.metrics import Metrics
from tests.kube_config.manifests import container_of, one, pod_of
from tests.kube_config.read_by_programs import model_server_flags, settings
from tests.processes import ROOT

DOCUMENT = (ROOT / "docs" / "kubernetes.md").read_text()


@pytest.fixture
def container(on_gpus):
    return container_of(on_gpus, "model-server")


def test_the_pod_gets_a_gpu(on_gpus, container):
    resources = container["resources"]
    # The device plugin knows whole GPUs only; a request would have to be the same.
    assert resources["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in resources["requests"]
    assert pod_of(on_gpus, "model-server")["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]
    assert pod_of(on_gpus, "model-server")["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    assert "tolerations" not in pod_of(on_gpus, "gateway")


def test_the_container_image_is_tensorflow_serving_s_of_the_same_version():
    base = re.search(r"^ARG BASE=(.*)$", (ROOT / "model-server" / "Dockerfile").read_text(), re.MULTILINE)
    assert f"--build-arg BASE={base[1]}-gpu\n" in (ROOT / "scripts" / "images").read_text()


def test_tensorflow_leaves_memory_to_cuda(container):
    (fraction,) = (word.partition("=")[2] for word in container["args"] if "gpu_memory" in word)
    assert Fraction(1, 2) < Fraction(fraction) < 1


def test_compiled_kernels_go_where_the_container_may_write(container):
    (folder,) = (variable["value"] for variable in container["env"] if variable["name"] == "CUDA_CACHE_PATH")
    assert folder.startswith("/tmp/")


def test_a_slow_start_is_no_failed_roll_out(on_gpus, container):
    probe = container["startupProbe"]
    start = probe["periodSeconds"] * probe["failureThreshold"]
    assert one(on_gpus, "Deployment", "model-server")["spec"]["progressDeadlineSeconds"] > start > 600


def test_replicas_follow_the_calls_in_flight(on_gpus):
    """The most replicas hold all that the gateways have in flight, so that more of them would be of no use."""
    hpa = one(on_gpus, "HorizontalPodAutoscaler", "model-server")["spec"]
    (metric,) = (metric["pods"] for metric in hpa["metrics"])
    each = int(metric["target"]["averageValue"])
    gateways = one(on_gpus, "HorizontalPodAutoscaler", "gateway")["spec"]["maxReplicas"]
    in_flight = gateways * settings(on_gpus).max_in_flight
    assert each * (hpa["maxReplicas"] - 1) < in_flight <= each * hpa["maxReplicas"]
    assert model_server_flags(on_gpus).grpc_max_threads >= in_flight


def test_the_documented_rule_makes_the_hpa_s_metric(on_gpus):
    """Of a metric that TensorFlow Serving and the portable server both have."""
    (block,) = (text for text in re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL) if "seriesQuery" in text)
    (rule,) = yaml.safe_load(block)["rules"]
    (metric,) = one(on_gpus, "HorizontalPodAutoscaler", "model-server")["spec"]["metrics"]
    assert rule["name"] == {"as": metric["pods"]["metric"]["name"]}
    metrics = Metrics()
    metrics.observe_request("brain-tumor", "OK", "Predict", "GRPC", seconds=2)
    series = rule["seriesQuery"].partition("{")[0]
    assert re.search(rf"^{series}{{.*}} 2000000.0$", metrics.page().decode(), re.MULTILINE)
    assert rule["metricsQuery"].endswith(" / 1e6")  # microseconds of all calls in a second: calls at a time
