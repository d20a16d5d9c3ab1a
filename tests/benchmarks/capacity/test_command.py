"""The command on given service times."""

import re
import sys

import numpy as np
import pytest

from benchmarks.capacity import __main__ as command
from benchmarks.capacity.doubling import BEFORE, lag
from benchmarks.capacity.service import Outcome
from brain_tumor.processes import ROOT

# As slow as to be simulated quickly.
GIVEN = ["--gateway-cpu=40", "--model-cpu=1000", "--requests=1500", "--replications=2", "--seconds=20"]


def run(monkeypatch, capsys, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["capacity", *arguments])
    command.main()
    return capsys.readouterr().out


def test_a_load_on_given_service_times(monkeypatch, capsys):
    node = ["--node-cpus=15", "--node-memory=60Gi", "--node-price=0.5"]
    out = run(monkeypatch, capsys, "--rate=2000", "--deadline=5", *GIVEN, *node)
    for line in (
        "gateways         458",
        "model servers    2,858",
        "nodes            199",
        "between tiers    536 MB/s",
        "connections      1,308,964, 100 % of calls open a new one",
        "DNS response     45,788 bytes, over TCP",
        "price            13.82 a million images",
        "maxReplicas of the model-server's HPA: 2,858 of 10, exceeded (reached at 7 images/s)",
        "bytes of the DNS response (RFC 1035, 4.2.2): 4.579e+04 of 6.554e+04, near",
    ):
        assert line in out
    steady = re.search(r"p50 (\d+)(?: ± \d+)? ms, p99 (\d+)", out)
    assert 1000 <= int(steady[1]) < int(steady[2]) <= 5000


def test_several_loads_make_a_table(monkeypatch, capsys):
    out = run(monkeypatch, capsys, "--rate", "2000", "0.5", *GIVEN)
    table, breaking = out.split("\n\n| ")[-2:]
    assert rows(table)["images a second"] == ["2,000", "0.5"]
    assert rows(table)["model servers"] == ["2,858", "2"]
    assert not {"nodes", "price of a million images"} & rows(table).keys()
    reached = [float(rate.replace(",", "")) for rate in list(rows(breaking))[2:]]
    assert reached == sorted(reached)
    assert rows(breaking)["7"][0] == "maxReplicas of the model-server's HPA"


def rows(table: str) -> dict[str, list[str]]:
    """The cells of a table in Markdown, by the first of each row."""
    lines = [line.strip("| ").split(" | ") for line in table.strip().splitlines()]
    assert len({len(line) for line in lines}) == 1
    return {first.strip(): [cell.strip() for cell in cells] for first, *cells in lines}


def test_the_pods_cpu_decides_how_long_requests_wait(monkeypatch, capsys):
    def p99(cores: str) -> int:
        out = run(monkeypatch, capsys, "--rate=2", *GIVEN, f"--cores={cores}")
        return int(re.search(r"p99 (\d+)", out)[1])

    assert p99("request") > 1.3 * p99("limit")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --gateway-cpu and --model-cpu"),
        (["--rate=0"], "must be above 0"),
        ([*GIVEN, "--node-cpus=4"], "--node-cpus needs --node-memory"),
        ([*GIVEN, "--node-price=1"], "--node-price needs --node-cpus"),
        ([*GIVEN, "--node-cpus=0.5", "--node-memory=1Gi"], "room for the largest pod"),
        ([*GIVEN, "--node-memory=big"], "--node-memory"),
        ([*GIVEN, "--times=/nowhere/times.json"], "/nowhere/times.json"),
        ([*GIVEN, "--manifests=kube-config/base/gateway/service-account.yaml"], "kubectl kustomize"),
        ([*GIVEN, "--manifests=README.md"], "README.md is no YAML"),
        ([*GIVEN, "--refusal-cpu=99"], "gateway_cpu must be above refusal_cpu"),
    ],
)
def test_what_cannot_be_used_is_named(monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit):
        run(monkeypatch, capsys, *arguments)
    assert message in capsys.readouterr().err


def test_the_lag_is_where_the_failures_end():
    moments = np.arange(0.0, BEFORE + 100.0, 0.1)

    def outcome(until: float) -> Outcome:
        failing = (moments >= BEFORE + 20.0) & (moments < BEFORE + until)
        return Outcome(moments, moments, np.where(failing, 503, 200), [], [], [])

    assert lag(outcome(42.0)) == 45.0
    assert lag(outcome(0.0)) == 0.0
    assert lag(outcome(100.0)) == float("inf")
