"""A load that steps up: what scaling by the requests at hand gains, and what it costs, on fixed seeds."""

import re
import sys
from dataclasses import replace

import pytest

from benchmarks.capacity import __main__ as command
from benchmarks.capacity import steps
from benchmarks.capacity.manifests import base, built, tiers
from benchmarks.capacity.scaling import Delays
from benchmarks.capacity.steps import AFTER, BEFORE, Step, Tiers, minutes, seconds_until, step, ways
from benchmarks.capacity.times import Times
from tests.kube_config.manifests import require

# As slow as to be simulated quickly.
TIMES = Times(40.0, 10.0, 1000.0, 0.1, 0.5, 1.2, 40e3)
RATE, DEADLINE = 3.0, 20.0
SEEDS = range(2)
ENOUGH = 420.0  # seconds after the step, in which all that differs happens


@pytest.fixture(scope="module")
def shipped() -> Tiers:
    require("kubectl")
    return tiers(built("scale-by-waiting"))


def compared(shipped: Tiers, factor: float, names: tuple[str, ...], **changed: float) -> list[Step]:
    """By CPU at its usual target, by the requests at hand, or by CPU at a lower target."""
    all_ways = dict(zip(("cpu", "at hand", "room"), ways(tiers(base()), "at hand", shipped), strict=True))
    times, delays = replace(TIMES, **changed), Delays(15.0, 15.0, 5.0, 5.0)
    return [step(all_ways[name], RATE, factor, times, DEADLINE, "request", delays, SEEDS) for name in names]


def test_a_step_to_five_times_the_load(shipped, monkeypatch):
    monkeypatch.setattr(steps, "AFTER", ENOUGH)
    cpu, at_hand = compared(shipped, 5, ("cpu", "at hand"))
    assert cpu.right == at_hand.right == (4, 20)
    assert at_hand.failed.mean < 0.75 * cpu.failed.mean
    assert at_hand.model_servers_after.mean < 0.75 * cpu.model_servers_after.mean
    assert at_hand.model_server_minutes.mean < 1.4 * cpu.model_server_minutes.mean


def test_a_steady_load_costs_no_more(shipped, monkeypatch):
    monkeypatch.setattr(steps, "AFTER", ENOUGH)
    cpu, at_hand, room = compared(shipped, 1, ("cpu", "at hand", "room"))
    assert cpu.failed.mean == at_hand.failed.mean == 0
    assert at_hand.model_server_minutes.mean == pytest.approx(cpu.model_server_minutes.mean, rel=0.1)
    assert room.model_server_minutes.mean > 1.2 * cpu.model_server_minutes.mean


def test_slots_that_run_out_before_cpu_bring_more_gateways(shipped, monkeypatch):
    """A slow model: gateways wait for it, so that their CPU says that few are enough, and refuse what finds no slot."""
    monkeypatch.setattr(steps, "AFTER", ENOUGH)
    slow = {"gateway_cpu": 4.0, "refusal_cpu": 1.0, "model_cpu": 2000.0}
    cpu, at_hand = compared(shipped, 8, ("cpu", "at hand"), **slow)
    assert cpu.right[0] == at_hand.right[0] == 4
    assert cpu.gateways_after.mean == float("inf")
    assert at_hand.gateways_after.mean < 180
    assert at_hand.failed.mean < 0.75 * cpu.failed.mean


HISTORY = [(0.0, 2, 2), (BEFORE + 30, 6, 2), (BEFORE + 60, 6, 6), (BEFORE + 660, 3, 3)]


def test_time_counts_from_the_step_to_enough_that_serve():
    found = [seconds_until(HISTORY, replicas) for replicas in (1, 2, 3, 6, 7)]
    assert found == [0.0, 0.0, 60.0, 60.0, float("inf")]


def test_minutes_are_of_all_replicas_from_the_step_on():
    assert minutes(HISTORY) == (2 * 30 + 6 * 630 + 3 * (AFTER - 660)) / 60


def test_the_command_prints_a_row_for_each_step_and_way(monkeypatch, capsys, shipped):
    monkeypatch.setattr(steps, "AFTER", 60.0)
    arguments = ["--gateway-cpu=40", "--model-cpu=1000", "--rate=2", "--step", "1", "2", "--replications=2"]
    monkeypatch.setattr(sys, "argv", ["capacity", *arguments])
    command.main()
    rows = [line.split(" | ")[:3] for line in capsys.readouterr().out.splitlines() if line.startswith("| x")]
    assert [row[0] for row in rows] == ["| x1"] * 3 + ["| x2"] * 3
    assert [row[1] for row in rows[:3]] == ["CPU, 70 % (base)", "CPU and requests at hand", "CPU, 50 %"]
    assert [row[2] for row in rows] == ["3 to 3", "3 to 3", "4 to 3", "3 to 6", "3 to 6", "4 to 6"]


def test_manifests_that_cannot_be_built_are_named():
    require("kubectl")
    with pytest.raises(ValueError, match=re.escape("kube-config with nowhere")):
        built("nowhere")


def test_keda_scales_by_the_same_numbers(shipped):
    assert tiers(built("scale-by-waiting-keda")) == shipped
