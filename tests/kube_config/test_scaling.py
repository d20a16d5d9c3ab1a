"""Replicas that follow the requests at hand: the HPAs, the metric behind them, and the same by KEDA.

How well they follow is simulated: tests/benchmarks/capacity/test_steps.py.
"""

import re
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from gateway.metrics import Metrics
from tests.kube_config.custom_resources import completed, schema_of
from tests.kube_config.manifests import (
    KUBE_CONFIG,
    ON_KEDA,
    TIERS,
    Object,
    build,
    build_with,
    container_of,
    go_module,
    of_kind,
    one,
)
from tests.kube_config.promtool import promtool
from tests.kube_config.read_by_programs import settings
from tests.processes import ROOT

KEDA = "github.com/kedacore/keda/v2@v2.20.2"
(RULE,) = yaml.safe_load((KUBE_CONFIG / "components/scale-by-waiting/prometheus-adapter.yaml").read_text())[
    "externalRules"
]
DOCUMENT = (ROOT / "docs" / "kubernetes.md").read_text()
# Two gateways of one namespace, of which one has a queue, and another namespace's.
SERIES = {
    'gateway_in_flight{namespace="brain-tumor",pod="a"}': "16",
    'gateway_waiting{namespace="brain-tumor",pod="a"}': "5",
    'gateway_in_flight{namespace="brain-tumor",pod="b"}': "3",
    'gateway_waiting{namespace="brain-tumor",pod="b"}': "0",
    'gateway_in_flight{namespace="other",pod="c"}': "100",
}


@pytest.fixture(scope="module")
def scaled(tmp_path_factory) -> list[Object]:
    return build_with(tmp_path_factory.mktemp("scaled"), "scale-by-waiting")


@pytest.fixture(scope="module")
def by_keda(tmp_path_factory) -> list[Object]:
    return build_with(tmp_path_factory.mktemp("keda"), *ON_KEDA)


@pytest.fixture(scope="module")
def scaled_object() -> Draft7Validator:
    """KEDA's own schema of a ScaledObject, from its Go module."""
    return schema_of(go_module(KEDA) / "config/crd/bases/keda.sh_scaledobjects.yaml")


@pytest.fixture(params=TIERS)
def tier(request) -> str:
    return request.param


def hpa_of(objects: list[Object], tier: str) -> Object:
    return one(objects, "HorizontalPodAutoscaler", tier)["spec"]


def target(hpa: Object) -> int:
    """The requests at hand for each replica."""
    return int(hpa["metrics"][1]["external"]["target"]["averageValue"])


def keda_s_query(objects: list[Object], tier: str) -> str:
    return one(objects, "ScaledObject", tier)["spec"]["triggers"][1]["metadata"]["query"]


def test_cpu_stays_and_the_requests_at_hand_come_to_it(scaled, tier):
    usual, hpa = hpa_of(build(KUBE_CONFIG / "base"), tier), hpa_of(scaled, tier)
    assert hpa["metrics"][:1] == usual["metrics"]
    (added,) = hpa["metrics"][1:]
    assert added["external"]["metric"] == {"name": RULE["name"]["as"]}
    assert added["external"]["target"].keys() == {"type", "averageValue"}
    assert added["external"]["target"]["type"] == "AverageValue"
    for bound in ("minReplicas", "maxReplicas"):
        assert hpa[bound] == usual[bound]


def test_a_gateway_has_more_slots_than_it_should_need(scaled):
    assert 0.5 * settings(scaled).max_in_flight < target(hpa_of(scaled, "gateway")) < settings(scaled).max_in_flight


def test_a_model_server_has_as_many_as_it_computes_at_once(scaled):
    assert target(hpa_of(scaled, "model-server")) == int(
        container_of(scaled, "model-server")["resources"]["limits"]["cpu"]
    )


def test_up_in_steps_that_can_take_effect_and_down_slowly(scaled, tier):
    usual, behavior = hpa_of(build(KUBE_CONFIG / "base"), tier)["behavior"], hpa_of(scaled, tier)["behavior"]
    policies = behavior["scaleUp"]["policies"]
    assert {policy["type"]: policy["value"] for policy in policies} == {"Percent": 100, "Pods": 4}
    assert {policy["periodSeconds"] for policy in policies} == {45}  # a pod's start, a scrape and the next decision
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    down = behavior["scaleDown"]
    assert down["policies"][:-1] == usual["scaleDown"]["policies"]
    assert down["policies"][-1] == {"type": "Percent", "value": 10, "periodSeconds": 60}
    assert down["stabilizationWindowSeconds"] == 300


def test_a_gpu_has_calls_of_its_own_to_follow(tmp_path):
    with pytest.raises(AssertionError, match="/spec/metrics/0/type"):
        build_with(tmp_path, "gpu", "scale-by-waiting")


def test_the_gateway_has_the_metrics():
    names = set(re.findall(r"^# TYPE (\S+) gauge$", Metrics().render().decode(), re.MULTILINE))
    asked = re.search(r'__name__=~"(.*?)"', RULE["metricsQuery"])[1].split("|")
    assert set(asked) <= names
    assert RULE["seriesQuery"].partition("{")[0] in asked


def test_both_ask_prometheus_for_the_same(by_keda, tier):
    assert keda_s_query(by_keda, tier) == RULE["metricsQuery"].replace("<<.LabelMatchers>>", 'namespace="brain-tumor"')


@pytest.mark.parametrize(("namespace", "expected"), [("brain-tumor", [24]), ("other", [100]), ("none", [])])
def test_prometheus_adds_up_what_a_namespace_s_gateways_have(tmp_path: Path, namespace, expected):
    """Where it knows of none it says nothing, which is not 0: an HPA without a metric removes no replicas."""
    query = RULE["metricsQuery"].replace("<<.LabelMatchers>>", f'namespace="{namespace}"')
    samples = [{"labels": "{}", "value": value} for value in expected]
    case = {
        "input_series": [{"series": series, "values": f"{value}x4"} for series, value in SERIES.items()],
        "promql_expr_test": [{"expr": query, "eval_time": "2m", "exp_samples": samples}],
    }
    (tmp_path / "query.yaml").write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [case]}))
    promtool("test", "rules", "query.yaml", folder=tmp_path)


def test_a_scaled_object_is_valid(by_keda, tier, scaled_object):
    manifest = completed(deepcopy(one(by_keda, "ScaledObject", tier)), scaled_object.schema)
    assert manifest["apiVersion"] == "keda.sh/v1alpha1"
    scaled_object.validate(manifest)
    manifest["spec"]["maxReplicas"] = 4
    assert not scaled_object.is_valid(manifest)


def test_keda_takes_over_the_hpas_that_it_makes(by_keda, tier):
    assert not of_kind(by_keda, "HorizontalPodAutoscaler")
    manifest = one(by_keda, "ScaledObject", tier)
    assert manifest["metadata"]["annotations"] == {"scaledobject.keda.sh/transfer-hpa-ownership": "true"}
    spec = manifest["spec"]
    assert spec["advanced"]["horizontalPodAutoscalerConfig"]["name"] == tier  # as alerts and commands know it
    assert spec["scaleTargetRef"] == hpa_of(build(KUBE_CONFIG / "base"), tier)["scaleTargetRef"]


def test_keda_scales_by_the_numbers_of_the_hpas(by_keda, scaled, tier):
    """Those of the component small among them."""
    spec, hpa = one(by_keda, "ScaledObject", tier)["spec"], hpa_of(scaled, tier)
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (hpa["minReplicas"], 4)
    assert spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == hpa["behavior"]
    cpu, prometheus = spec["triggers"]
    assert (cpu["type"], cpu["metricType"]) == ("cpu", "Utilization")
    assert cpu["metadata"] == {"value": str(hpa["metrics"][0]["resource"]["target"]["averageUtilization"])}
    assert (prometheus["type"], prometheus["metricType"]) == ("prometheus", "AverageValue")
    assert prometheus["metadata"]["threshold"] == str(target(hpa))


def test_without_prometheus_keda_keeps_the_replicas(by_keda, tier):
    spec = one(by_keda, "ScaledObject", tier)["spec"]
    assert spec["triggers"][1]["metadata"]["ignoreNullValues"] == "false"
    assert spec["fallback"]["behavior"] == "currentReplicas"
    assert spec["fallback"]["replicas"] == spec["minReplicaCount"]


def test_the_patch_for_another_prometheus_in_the_document(by_keda, tmp_path):
    (block,) = [text for text in re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL) if "kind: ScaledObject" in text]
    build_with(tmp_path, *ON_KEDA)
    folder = tmp_path / "kube-config" / "overlays" / "patched"
    folder.mkdir()
    own = {"namespace": "team-a", "resources": ["../combined"], **yaml.safe_load(block)}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(own))
    for tier in TIERS:
        before, after = (one(objects, "ScaledObject", tier) for objects in (by_keda, build(folder)))
        metadata = after["spec"]["triggers"][1]["metadata"]
        assert metadata.pop("query") == keda_s_query(by_keda, tier).replace("brain-tumor", "team-a")
        assert metadata.pop("serverAddress").startswith("http")
        unchanged = {key: before["spec"]["triggers"][1]["metadata"][key] for key in metadata}
        assert metadata == unchanged
        assert after["metadata"]["namespace"] == "team-a"
