"""The simulated queues, held against what queueing theory knows of them."""

import math

import numpy as np
import pytest

from benchmarks.capacity.loop import Loop
from benchmarks.capacity.pods import Cores, Costs, Draws
from benchmarks.capacity.replications import Estimate, over
from benchmarks.capacity.scenario import Load, Scenario
from benchmarks.capacity.service import Outcome, simulate

RATE = 10.0  # requests a second of each model server
FAR = 1e6  # seconds
REPLICATIONS = 8


def waits(servers: int, cores: int, busy: float, variation: float, requests: int = 2500) -> list[Outcome]:
    """Runs of model servers of so many cores that are busy for this share, behind a gateway that costs nothing."""
    rate = RATE * servers
    mean = busy * cores / RATE
    seconds = requests / rate
    scenario = Scenario(
        load=Load(rate),
        gateways=1,
        model_servers=servers,
        gateway_cores=1,
        model_cores=cores,
        costs=Costs(receiving=0, working=0, model=mean, variation=variation, network=0),
        deadline=FAR,
        slots=1000,
        seconds=seconds,
        warm_up=seconds / 10,
    )
    return [simulate(scenario, seed) for seed in range(REPLICATIONS)]


def mean_seconds(outcomes: list[Outcome]) -> Estimate:
    return over(outcomes, lambda outcome: float(np.mean(outcome.seconds)))


def erlang_c(cores: int, offered: float) -> float:
    """The probability of a wait in M/M/c (Erlang 1917, the delay formula); ``offered`` in Erlang."""
    last = offered**cores / math.factorial(cores) * cores / (cores - offered)
    return last / (sum(offered**k / math.factorial(k) for k in range(cores)) + last)


@pytest.mark.parametrize(("cores", "busy"), [(1, 0.5), (1, 0.8), (2, 0.8), (4, 0.7)])
def test_exponential_times_wait_as_erlang_says(cores, busy):
    mean = busy * cores / RATE
    expected = mean + erlang_c(cores, busy * cores) * mean / (cores * (1 - busy))
    found = mean_seconds(waits(1, cores, busy, variation=1))
    assert found.low < expected < found.high
    assert found.half < 0.25 * expected


@pytest.mark.parametrize("busy", [0.5, 0.8])
def test_constant_times_wait_half_as_long(busy):
    mean = busy / RATE
    expected = mean + busy * mean / (2 * (1 - busy))  # Pollaczek and Khinchine
    found = mean_seconds(waits(1, 1, busy, variation=0))
    assert found.low < expected < found.high
    assert found.half < 0.15 * expected


def test_the_99th_percentile_of_exponential_times():
    busy = 0.5
    expected = -math.log(0.01) / (RATE / busy - RATE)  # the time in M/M/1 is exponential
    found = over(waits(1, 1, busy, variation=1), lambda outcome: outcome.percentile(99))
    assert found.low < expected < found.high
    assert found.half < 0.25 * expected


def test_two_model_servers_in_turn_wait_less_than_by_chance():
    busy = 0.8
    service = RATE / busy
    share = 0.5  # the root of GI/M/1 (Kendall 1953) for intervals of two exponential ones, found by iteration
    for _ in range(200):
        share = (2 * RATE / (2 * RATE + service * (1 - share))) ** 2
    expected = 1 / (service * (1 - share))
    found = mean_seconds(waits(2, 1, busy, variation=1, requests=6000))
    assert found.low < expected < found.high
    assert found.high < 1 / (service - RATE)  # by chance each would be M/M/1


def test_a_core_and_a_half_is_two_slower_ones():
    cores = Cores(1.5)
    assert [cores.take(0.0, 0.75) for _ in range(3)] == [1.0, 1.0, 2.0]
    assert cores.used(0.5) == pytest.approx(0.75)
    assert cores.used(1.5) == pytest.approx(1.5 + 0.375)
    assert cores.used(9.0) == pytest.approx(3 * 0.75)


def test_draws_have_their_mean_and_variation():
    draws = Draws(np.random.default_rng(0), 2.0, 0.5)
    drawn = [draws.next() for _ in range(20_000)]
    assert np.mean(drawn) == pytest.approx(2.0, rel=0.02)
    assert np.std(drawn) / np.mean(drawn) == pytest.approx(0.5, rel=0.03)
    assert {Draws(np.random.default_rng(0), 2.0, 0.0).next() for _ in range(3)} == {2.0}


def test_the_loop_calls_in_the_order_of_time_and_then_of_asking():
    loop, called = Loop(), []
    for moment, name in ((2.0, "late"), (1.0, "first"), (1.0, "second"), (9.0, "never")):
        loop.at(moment, lambda name=name: called.append((loop.now, name)))
    loop.every(1.5, 0.5, lambda: called.append((loop.now, "every")))
    loop.run(2.5)
    assert called == [(0.5, "every"), (1.0, "first"), (1.0, "second"), (2.0, "late"), (2.0, "every")]
    assert loop.now == 2.5
