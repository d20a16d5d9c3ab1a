"""Grafana's dashboard is where its sidecar looks. tests/integration/test_prometheus.py runs its queries."""

import json

from gateway.metrics.drift import BOUNDS
from scripts.dashboard import build
from tests.kube_config.manifests import KUBE_CONFIG, build_with, one

COMMITTED = (KUBE_CONFIG / "components" / "dashboard" / "brain-tumor.json").read_text()


def test_the_file_is_what_its_command_makes() -> None:
    assert build() == COMMITTED


def test_the_sidecar_finds_it_in_the_namespace_of_the_pods(tmp_path) -> None:
    objects = build_with(tmp_path, "dashboard")
    made = one(objects, "ConfigMap", "brain-tumor-dashboard")
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert made["metadata"]["namespace"] == one(objects, "Deployment", "gateway")["metadata"]["namespace"]
    assert made["data"] == {"brain-tumor.json": COMMITTED}


def test_every_query_asks_the_chosen_prometheus_for_the_chosen_namespaces() -> None:
    board = json.loads(COMMITTED)
    assert {variable["name"] for variable in board["templating"]["list"]} == {"source", "namespace"}
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in panels} == {"${source}"}
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    assert [query for query in queries if query.count("{") != query.count('{namespace=~"$namespace"')] == []


def test_drift_is_drawn_with_the_gateway_s_own_bounds() -> None:
    (drift,) = [panel for panel in json.loads(COMMITTED)["panels"] if panel["title"].startswith("Drift")]
    steps = drift["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["value"] for step in steps] == [None, *sorted(BOUNDS.values())]
