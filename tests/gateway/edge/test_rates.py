import pytest

from gateway.edge.rates import Rates
from gateway.keys import Caller


class Clock:
    """Time that passes when a test says so."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rates(clock) -> Rates:
    return Rates(clock)


def taken(rates: Rates, caller: Caller, most: int = 1000) -> int:
    """How many requests a caller may send now, one after the other."""
    return next((count for count in range(most) if rates.take(caller)), most)


TEAM = Caller("team", rate=0.5, burst=3)


def test_a_burst_and_then_none(rates):
    assert taken(rates, TEAM) == 3


def test_time_brings_more_at_the_rate(rates, clock):
    taken(rates, TEAM)
    for seconds, more in ((1, 0), (1, 1), (4, 2), (1, 0), (1, 1)):
        clock.seconds += seconds
        assert taken(rates, TEAM) == more


def test_a_pause_brings_no_more_than_a_burst(rates, clock):
    taken(rates, TEAM)
    clock.seconds += 1e6
    assert taken(rates, TEAM) == 3


def test_the_wait_is_as_long_as_is_said_and_asking_makes_it_no_longer(rates, clock):
    taken(rates, TEAM)
    assert rates.take(TEAM) == 2
    clock.seconds += 1.5
    assert rates.take(TEAM) == 0.5
    clock.seconds += 0.5
    assert rates.take(TEAM) == 0


@pytest.mark.parametrize("rate", [0.001, 0.3, 7.0, 1e6])
def test_no_wait_is_longer_than_one_request_at_the_slowest_rate(rates, rate):
    caller = Caller("x", rate=rate, burst=1.0)
    assert rates.take(caller) == 0
    assert 0 < rates.take(caller) <= 1000


def test_each_caller_has_its_own(rates):
    taken(rates, TEAM)
    assert taken(rates, Caller("other", rate=0.5, burst=3)) == 3


def test_a_caller_with_another_rate_and_burst_keeps_what_it_has(rates, clock):
    taken(rates, TEAM)
    quicker = Caller("team", rate=10, burst=20)
    assert taken(rates, quicker) == 0
    clock.seconds += 1
    assert taken(rates, quicker) == 10
    clock.seconds += 10
    assert taken(rates, TEAM) == 3


def test_without_a_rate_nothing_is_counted(rates):
    assert taken(rates, Caller("free")) == 1000
    assert len(rates) == 0


def test_who_is_forgotten_begins_anew_and_who_is_kept_does_not(rates):
    gone = Caller("gone", rate=1, burst=2)
    for caller in (TEAM, gone):
        taken(rates, caller)
    rates.keep({"team", "new"})
    assert len(rates) == 1
    assert (taken(rates, TEAM), taken(rates, gone)) == (0, 2)
