"""Prometheus' own tool holds the alerts against what happens: each fires when it should, and not otherwise."""

import json
from pathlib import Path

import pytest
import yaml

from gateway.metrics.drift import BOUNDS
from tests.kube_config.manifests import RULE_FILES, Object, build_with, of_kind, one, rule_groups
from tests.kube_config.promtool import promtool

SCENARIOS = sorted((Path(__file__).parent / "alerts").glob("*.yaml"))
GROUPS = rule_groups()
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The rules as Prometheus reads them, without their runbooks, which test_docs.py looks at."""
    groups = rule_groups()
    for group in groups:
        for rule in group["rules"]:
            rule.get("annotations", {}).pop("runbook_url", None)
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": groups}))
    return path


def test_prometheus_reads_the_rules(rules: Path) -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", rules.name, folder=rules.parent)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_not_otherwise(scenario: Path, rules: Path) -> None:
    # Otherwise promtool evaluates the groups in a random order, though each needs what those before it record.
    order = json.dumps([group["name"] for group in GROUPS])
    (rules.parent / scenario.name).write_text(f"{scenario.read_text()}group_eval_order: {order}\n")
    promtool("test", "rules", scenario.name, folder=rules.parent)


def test_each_alert_is_seen_to_fire_and_to_be_silent() -> None:
    fires, silent = set(), set()
    for scenario in SCENARIOS:
        for case in yaml.safe_load(scenario.read_text())["tests"]:
            for expected in case["alert_rule_test"]:
                windows = [alert["exp_labels"].get("windows") for alert in expected["exp_alerts"]]
                fires |= {(expected["alertname"], window) for window in windows}
                if not windows:
                    silent.add(expected["alertname"])
    assert fires == {(alert["alert"], alert["labels"].get("windows")) for alert in ALERTS}
    assert silent == {alert["alert"] for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: "-".join((alert["alert"], *alert["labels"].values())))
def test_each_alert_says_how_bad_what_and_where_to_read_on(alert: Object) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"].keys() == {"summary", "runbook_url"}
    assert "$labels.namespace" in alert["annotations"]["summary"]


def test_drift_begins_at_the_gateway_s_own_bounds() -> None:
    (drift,) = [alert["expr"] for alert in ALERTS if alert["alert"] == "BrainTumorDrift"]
    bounds = [f'window="{window}"}} ) > {bound:g} ' for window, bound in BOUNDS.items()]
    assert all(bound in " ".join(drift.split()) + " " for bound in bounds)


@pytest.mark.parametrize("objective", ["availability", "latency"])
def test_an_objective_stands_in_one_place(objective: str) -> None:
    """An overlay that changes it changes every alert on it."""
    record = f"brain_tumor:{objective}:objective"
    assert [rule["expr"].startswith("vector(0.") for rule in RULES if rule.get("record") == record] == [True]
    on_it = [alert for alert in ALERTS if alert["alert"] == f"BrainTumor{objective.title()}BudgetBurns"]
    assert [alert["expr"].count(f"(1 - scalar({record}))") for alert in on_it] == [2, 2, 2]


def test_roll_outs_have_a_deadline_after_which_they_hang(objects: list[Object]) -> None:
    for deployment in of_kind(objects, "Deployment"):
        assert deployment["spec"].get("progressDeadlineSeconds", 600) <= 1800


def test_the_rules_are_where_the_pods_are_and_are_selected(tmp_path: Path) -> None:
    objects = build_with(tmp_path, "alerts")
    made = [one(objects, "PrometheusRule", f"brain-tumor-{path.stem}") for path in RULE_FILES]
    assert [group for rule in made for group in rule["spec"]["groups"]] == GROUPS
    for rule in made:
        assert rule["apiVersion"] == "monitoring.coreos.com/v1"
        assert rule["spec"].keys() == {"groups"}
        assert rule["metadata"]["labels"]["release"] == "kube-prometheus-stack"
        assert rule["metadata"]["namespace"] == one(objects, "Deployment", "gateway")["metadata"]["namespace"]
