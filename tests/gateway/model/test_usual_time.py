import pytest

from gateway.model.usual_time import SHORTEST, UNKNOWN, UsualTimes


def learned(*calls: float) -> float:
    times = UsualTimes()
    for seconds in calls:
        times.add("predict", seconds)
    return times.patience("predict")


def test_before_the_first_response():
    assert learned() == UNKNOWN


def test_quick_calls_are_not_hurried():
    assert learned(*[0.01] * 50) == SHORTEST


@pytest.mark.parametrize("usual", [0.5, 1.0, 3.0])
def test_it_is_well_above_the_usual_time(usual):
    times = [usual * (0.8 + 0.1 * (number % 5)) for number in range(60)]
    assert 1.5 * max(times) < learned(*times) < 6 * max(times)


def test_a_single_pause_counts_little():
    assert learned(*[0.05] * 50, 8.0) < 2


def test_it_follows_soon_where_all_calls_become_slow():
    assert learned(*[0.05] * 50, 3.0, 3.0, 3.0) > 3


def test_kinds_are_learned_apart():
    times = UsualTimes()
    times.add("explain", 4.0)
    assert times.patience("explain") > 4
    assert times.patience("predict") == UNKNOWN
    assert times.mean("predict") == 0
