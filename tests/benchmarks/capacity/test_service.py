"""Both tiers in simulated time: slots, deadlines, parts of a large service."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.capacity.doubling import double
from benchmarks.capacity.manifests import Autoscaling, Tier
from benchmarks.capacity.pods import LATE, REFUSED, SERVED, Costs
from benchmarks.capacity.replications import estimate, over
from benchmarks.capacity.scaling import Delays
from benchmarks.capacity.scenario import Load, Scenario
from benchmarks.capacity.service import simulate

CALL = 0.1  # seconds
SERVICE = Scenario(
    load=Load(20.0),
    gateways=2,
    model_servers=3,
    gateway_cores=1.0,
    model_cores=1.0,
    costs=Costs(receiving=0.001, working=0.003, model=CALL, variation=0.0, network=0.002),
    deadline=5.0,
    slots=16,
    seconds=60.0,
    warm_up=5.0,
)


def test_a_lone_request_takes_the_sum_of_its_parts():
    outcome = simulate(replace(SERVICE, load=Load(0.5)), 1)
    assert np.median(outcome.seconds) == pytest.approx(0.001 + 0.003 + CALL + 0.002)
    assert set(outcome.status) == {SERVED}


def test_a_seed_decides_everything():
    once, again, other = (simulate(SERVICE, seed) for seed in (1, 1, 2))
    assert np.array_equal(once.seconds, again.seconds)
    assert not np.array_equal(once.seconds[:100], other.seconds[:100])


def test_more_than_the_model_servers_can_is_refused_and_the_rest_in_time():
    outcome = simulate(replace(SERVICE, load=Load(60.0)), 1)
    possible = 3 / CALL
    assert np.sum(outcome.status == SERVED) / 55 == pytest.approx(possible, rel=0.1)
    assert outcome.refused == pytest.approx(0.5, abs=0.05)
    assert outcome.seconds[outcome.status == SERVED].max() <= SERVICE.deadline + 0.1  # beside its reception
    assert max(outcome.waiting) > 10


def test_slots_are_fewer_where_work_takes_most_of_a_short_deadline():
    outcome = simulate(replace(SERVICE, load=Load(60.0), deadline=0.5), 1)
    # With all 16 at the model servers none would be in time.
    assert np.sum(outcome.status == SERVED) / 55 > 0.8 * 3 / CALL


def test_a_gateway_works_on_no_more_than_its_slots():
    few = simulate(replace(SERVICE, gateways=1, slots=1), 1)
    assert np.sum(few.status == SERVED) / 55 == pytest.approx(1 / (CALL + 0.005), rel=0.1)


def test_a_call_that_takes_too_long_is_late():
    outcome = simulate(replace(SERVICE, load=Load(0.5), deadline=0.05), 1)
    assert set(outcome.status) <= {LATE, REFUSED}
    assert outcome.seconds[outcome.status == LATE] == pytest.approx(0.051)


def test_who_waits_behind_a_call_that_hangs_is_refused_before_the_deadline():
    hanging = replace(SERVICE.costs, model=99.0)
    burst = replace(
        SERVICE, load=Load(40.0), gateways=1, slots=1, costs=hanging, deadline=2.0, seconds=0.3, warm_up=0.0
    )
    outcome = simulate(burst, 1)
    refused = outcome.seconds[outcome.status == REFUSED]
    assert len(refused) > 3
    assert refused.max() < 1.5


def test_a_gateway_has_one_core_at_most():
    busy = replace(SERVICE, gateways=1, gateway_cores=4.0, costs=replace(SERVICE.costs, working=0.1, model=0.001))
    assert np.sum(simulate(busy, 1).status == SERVED) / 55 == pytest.approx(1 / 0.101, rel=0.1)


def test_a_part_of_a_service_waits_as_long_as_the_whole():
    whole = replace(SERVICE, load=Load(560.0), gateways=8, model_servers=80, seconds=20.0)
    part, parts = whole.slice(3220)
    assert (part.model_servers, part.gateways, part.load.rate) == (23, 2, pytest.approx(161.0))
    assert parts == pytest.approx(80 / 23)
    assert part.turns == 4

    def p99(scenario: Scenario, seeds: int) -> float:
        return over([simulate(scenario, seed) for seed in range(seeds)], lambda outcome: outcome.percentile(99)).mean

    expected = p99(whole, 2)
    assert p99(part, 4) == pytest.approx(expected, rel=0.25)
    # Two gateways alone would give each model server calls at even intervals.
    assert p99(replace(part, turns=1), 2) < 0.6 * expected


def test_a_small_service_is_simulated_as_a_whole():
    part, parts = SERVICE.slice(10)
    assert (part, parts) == (SERVICE, 1.0)


def test_the_hpas_of_a_part_have_their_part_of_the_replicas():
    tier = Tier("x", 1, 1, 1, 1, Autoscaling(2, 600, 70))
    part, _ = replace(SERVICE, load=Load(6000.0), model_servers=600, tiers=(tier, tier)).slice(1)
    assert part.model_servers == 20
    assert part.tiers[1].autoscaling.most == 20


def test_a_load_grows_evenly():
    load = Load(10.0, 30.0, begins=5.0, within=10.0)
    assert [load.at(moment) for moment in (0.0, 5.0, 10.0, 15.0, 99.0)] == [10.0, 10.0, 20.0, 30.0, 30.0]
    outcome = simulate(replace(SERVICE, load=Load(10.0, 40.0, 30.0, 0.0), deadline=99.0, warm_up=0.0), 3)
    counts = [np.sum((outcome.arrived < 30) == first) for first in (True, False)]
    assert counts == [pytest.approx(300, rel=0.15), pytest.approx(1200, rel=0.1)]


def test_hpas_follow_a_load_that_doubles():
    hpa = Autoscaling(2, 10, 70)
    tiers = (Tier("gateway", 1.0, 1.0, 1, 1, hpa), Tier("model-server", 1.0, 1.0, 1, 1, hpa))
    costs = Costs(receiving=0.1, working=0.1, model=1.0, variation=0.1, network=0.0)
    steady = replace(SERVICE, load=Load(7.0), model_servers=10, costs=costs, deadline=60.0)
    found = double(steady, tiers, Delays(5.0, 15.0, 0.0, 5.0), range(2), 1e9)
    assert found.model_servers.mean == pytest.approx(20, abs=4)
    assert found.gateways.mean == pytest.approx(4, abs=1)
    assert found.lag.mean == found.refused.mean == 0
    # New pods come too late for most of what comes within a minute.
    hasty = double(replace(steady, deadline=6.0), tiers, Delays(60.0, 15.0, 0.0, 5.0), range(2), 1e9)
    assert hasty.lag.mean > 60
    assert hasty.failed.mean > 0.02


def test_an_interval_is_students():
    found = estimate([1.0, 2.0, 3.0, float("nan")])
    assert (found.mean, found.half) == (2.0, pytest.approx(4.3027 / 3**0.5, rel=1e-4))
    assert estimate([1.0]).half == float("inf")
