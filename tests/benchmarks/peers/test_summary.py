"""Figures and ratios over rounds."""

import pytest

from benchmarks.peers.summary import COLUMNS, Sample, figure, percentile, ratio

BY_KEY = {column.key: column for column in COLUMNS}


def sample(median: float = 0.1, rate: float = 10.0) -> Sample:
    return Sample(
        start=1.0, median=median, p95=0.2, rate=rate, cpu_alone=0.1, cpu_loaded=0.1, memory=5e8, own_cpu=0.0001
    )


def test_a_ratio_is_the_median_of_the_ratios_within_each_round():
    rounds = [
        {"classic": sample(0.2), "ours": sample(0.1)},  # 2
        {"classic": sample(2.0), "ours": sample(0.5)},  # 4, on a machine that was slow then
        {"classic": sample(0.3), "ours": sample(0.1)},  # 3
    ]
    assert ratio(rounds, "ours", "classic", BY_KEY["latency_ms"]) == pytest.approx(3)
    assert figure(rounds, "ours", BY_KEY["latency_ms"]) == pytest.approx(100)
    assert ratio(rounds, "classic", "classic", BY_KEY["latency_ms"]) == 1


def test_above_one_is_better_in_every_column():
    faster = [{"classic": sample(rate=4.0), "ours": sample(rate=6.0)}]
    assert ratio(faster, "ours", "classic", BY_KEY["rate"]) == pytest.approx(1.5)
    assert [column.key for column in COLUMNS if column.more_is_better] == ["rate"]


def test_a_round_that_lacks_one_of_the_two_does_not_count():
    rounds = [{"classic": sample(0.3)}, {"ours": sample(0.1)}, {"classic": sample(0.5), "ours": sample(0.1)}]
    assert ratio(rounds, "ours", "classic", BY_KEY["latency_ms"]) == pytest.approx(5)
    assert ratio(rounds[:2], "ours", "classic", BY_KEY["latency_ms"]) is None
    assert figure(rounds[:1], "ours", BY_KEY["latency_ms"]) is None


@pytest.mark.parametrize(
    ("share", "expected"), [(0, 1), (0.5, 3), (0.95, 4.8), (1, 5)], ids=["lowest", "median", "p95", "highest"]
)
def test_percentiles_lie_between_neighbours(share, expected):
    assert percentile([5, 1, 4, 2, 3], share) == pytest.approx(expected)
    assert percentile([7], share) == 7


def test_figures_have_the_units_of_their_names():
    assert {column.key: column.value(sample()) for column in COLUMNS} == {
        "latency_ms": 100,
        "latency_p95_ms": 200,
        "rate": 10,
        "cpu_alone_ms": 100,
        "cpu_loaded_ms": 100,
        "memory_mb": 500,
        "start_s": 1,
    }
