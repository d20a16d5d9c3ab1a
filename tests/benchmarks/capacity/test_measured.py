"""What is measured on this machine, with little traffic: each figure is there, and of what it says it is."""

import math

import pytest

from benchmarks.capacity import measure, validate
from benchmarks.capacity.times import Times


class Spending:
    """A server that has spent 0.5 s of CPU before and 2.5 s after."""

    def __init__(self):
        self.spent = iter((0.5, 2.5))

    def cpu(self):
        return next(self.spent)


def test_cpu_is_of_each_request():
    assert measure._cpu_of(Spending(), lambda: 8) == 0.25


def test_pauses_of_the_machine_do_not_count():
    calls = [1.0, 1.2] * 45
    assert measure._variation([*calls, *[100.0] * 10]) == pytest.approx(0.1 / 1.1, rel=0.01)


def test_all_times_are_measured(tmp_path, monkeypatch):
    for name, value in {"_REQUESTS": 16, "_CALLS": 20, "_CONNECTIONS": 10, "_OVERLOAD_SECONDS": 1.0}.items():
        monkeypatch.setattr(measure, name, value)
    times = measure.measure(tmp_path / "log")
    figures = vars(times)
    assert all(math.isfinite(value) and value >= 0 for value in figures.values())
    assert min(times.gateway_cpu, times.refusal_cpu, times.model_cpu, times.connection_memory) > 0


def test_both_columns_of_a_load_that_is_served(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(validate, "_SHARES", (0.2,))
    monkeypatch.setattr(validate, "_WARM_UP", 1.0)
    times = Times(4, 1, 1, 0, 1, 0, 0)
    validate.validate(times, deadline=20, seconds=3, replications=2, log=tmp_path / "log")
    row = capsys.readouterr().out.splitlines()[-1].split("|")[1:-1]
    load, rate, predicted, measured, _, _, failed, failing = map(str.strip, row)
    assert (load, rate, failed, failing) == ("20 %", "6", "0 ± 0 %", "0 ± 0 %")
    assert float(predicted.split()[0]) >= 100, "a call takes 100 ms"
    assert float(measured.split()[0]) >= 100
