import pytest

from gateway.canary.breaker import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, Breaker


class Time:
    """A clock, and what the breaker tells."""

    def __init__(self) -> None:
        self.now = 0.0
        self.told: list[float | None] = []

    def breaker(self) -> Breaker:
        return Breaker(self.told.append, lambda: self.now)


@pytest.fixture
def time() -> Time:
    return Time()


def fail(breaker: Breaker, times: int = FAILURES) -> None:
    for _ in range(times):
        assert breaker.lets_through()
        breaker.failed()


def test_failures_one_after_the_other_open_it(time):
    breaker = time.breaker()
    fail(breaker, FAILURES - 1)
    assert breaker.lets_through()
    breaker.succeeded()
    fail(breaker, FAILURES - 1)
    assert breaker.lets_through()
    breaker.failed()
    assert not breaker.lets_through()
    assert time.told == [FIRST_PAUSE]


def test_after_the_pause_one_at_a_time_tries_it(time):
    breaker = time.breaker()
    fail(breaker)
    time.now = FIRST_PAUSE - 0.1
    assert not breaker.lets_through()
    time.now = FIRST_PAUSE
    assert [breaker.lets_through() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert [breaker.lets_through() for _ in range(3)] == [True] * 3
    assert time.told == [FIRST_PAUSE, None]


def test_each_trial_that_fails_makes_the_pause_longer(time):
    breaker = time.breaker()
    fail(breaker)
    for _ in range(8):
        time.now += LONGEST_PAUSE
        fail(breaker, 1)
        assert not breaker.lets_through()
    assert time.told == [2, 4, 8, 16, 30, 30, 30, 30, 30]
    time.now += LONGEST_PAUSE
    assert breaker.lets_through()
    breaker.succeeded()
    fail(breaker)
    assert time.told[-1] == FIRST_PAUSE


def test_a_trial_that_learns_nothing_leaves_the_next_one_to_try(time):
    breaker = time.breaker()
    fail(breaker)
    time.now = FIRST_PAUSE
    assert breaker.lets_through()
    breaker.undecided()
    assert [breaker.lets_through(), breaker.lets_through()] == [True, False]


def test_requests_from_before_the_pause_do_not_make_it_longer(time):
    breaker = time.breaker()
    fail(breaker)
    for _ in range(5):
        breaker.failed()
    time.now = FIRST_PAUSE
    assert breaker.lets_through()
    assert time.told == [FIRST_PAUSE]
