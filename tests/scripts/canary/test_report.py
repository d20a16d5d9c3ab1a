"""The numbers of the report, from the gateways' pages to what a person reads, and the bounds on them."""

import math
from pathlib import Path

import pytest

from scripts.canary.bounds import Bounds
from scripts.canary.errors import CanaryError
from scripts.canary.report import Report, quantile, report
from scripts.canary.samples import buckets, by_label, parse, since, total

PAGE = """
# HELP gateway_canary_requests_total Requests for the canary
# TYPE gateway_canary_requests_total counter
gateway_canary_requests_total{outcome="answered"} 90.0
gateway_canary_requests_total{outcome="slow"} 6.0
gateway_canary_requests_total{outcome="skipped"} 4.0
gateway_canary_requests_created{outcome="skipped"} 1.7e+09
gateway_shadow_requests_total{outcome="compared"} 100.0
gateway_shadow_requests_total{outcome="dropped"} 50.0
gateway_shadow_agreements_total 190.0
gateway_shadow_images_total 200.0
gateway_shadow_distance_bucket{le="0.1"} 150.0
gateway_shadow_distance_bucket{le="0.2"} 200.0
gateway_shadow_distance_bucket{le="+Inf"} 200.0
gateway_shadow_distance_count 200.0
gateway_shadow_distance_sum 8.0
gateway_model_seconds_bucket{label="stable",le="0.1"} 100.0
gateway_model_seconds_bucket{label="stable",le="+Inf"} 100.0
gateway_model_seconds_bucket{label="canary",le="0.1"} 50.0
gateway_model_seconds_bucket{label="canary",le="0.2"} 100.0
gateway_model_seconds_bucket{label="canary",le="+Inf"} 100.0
gateway_requests_total{route="/predict",status="200"} 1000.0
"""
BOUNDS = Bounds(images=200, failures=0.05, agreement=0.9, distance=0.04, latency_ratio=2.1)


@pytest.fixture
def found() -> Report:
    return report(parse(PAGE))


def test_only_series_about_the_canary_are_kept() -> None:
    samples = parse(PAGE)
    assert not [series for series in samples if series.startswith("gateway_requests")]
    assert by_label(samples, "gateway_canary_requests_total", "outcome") == {"answered": 90, "slow": 6, "skipped": 4}
    assert total(samples, "gateway_shadow_images_total") == 200
    assert buckets(samples, "gateway_model_seconds", label="canary") == {0.1: 50, 0.2: 100, math.inf: 100}


def test_pods_are_summed_and_what_they_had_counted_before_is_taken_off() -> None:
    began = {"old": {"gateway_shadow_images_total": 5.0}, "gone": {"gateway_shadow_images_total": 7.0}}
    now = {"old": {"gateway_shadow_images_total": 8.0}, "new": {"gateway_shadow_images_total": 2.0}}
    assert since(began, now) == {"gateway_shadow_images_total": 5.0}


def test_a_process_that_started_again_counts_from_nothing() -> None:
    series = "gateway_shadow_images_total", "gateway_shadow_agreements_total"
    began = {"pod": dict.fromkeys(series, 100.0)}
    # The second counter has grown beyond what it was, and the first tells that both began anew.
    assert since(began, {"pod": {series[0]: 10.0, series[1]: 200.0}}) == {series[0]: 10.0, series[1]: 200.0}


def test_the_numbers(found: Report) -> None:
    # Skipped requests were meant for the canary. Comparisons that the gateway had no room for say nothing of it.
    assert found.failures == pytest.approx(10 / 200)
    share, low, high = found.agreement
    assert share == pytest.approx(0.95)
    # Wilson's formula for 190 of 200: (0.9596 ± 0.0317) / 1.0192.
    assert (low, high) == pytest.approx((0.9104, 0.9726), abs=1e-4)
    assert found.distance == pytest.approx(0.04)
    assert found.distance_95 == pytest.approx(0.18)
    assert found.seconds == {"stable": pytest.approx((0.05, 0.095)), "canary": pytest.approx((0.1, 0.19))}
    assert found.latency_ratio == pytest.approx(2)


def test_quantiles_beyond_what_is_measured_are_infinite() -> None:
    assert quantile({0.1: 90, math.inf: 100}, 0.9) == pytest.approx(0.1)
    assert quantile({0.1: 90, math.inf: 100}, 0.95) == math.inf
    assert math.isnan(quantile({}, 0.5))
    assert math.isnan(quantile({0.1: 0, math.inf: 0}, 0.5))


def test_the_table(found: Report) -> None:
    lines = dict(line.split("  ", 1) for line in found.table().splitlines())
    table = {name: value.strip() for name, value in lines.items()}
    assert table["requests for the canary"] == "90 answered, 6 slow, 4 skipped"
    assert table["requests for comparison"] == "100 compared, 50 dropped"
    assert table["not answered by it"] == "5.0 %"
    assert table["of one class"] == "95.0 % (95 % interval 91.0 % to 97.3 %)"
    assert table["distance"] == "mean 0.040, 95 % at most 0.180"
    assert table["time of a call, canary"] == "median 100 ms, 95 % at most 190 ms"
    assert table["its time by stable's"] == "2.000"


def test_a_report_of_nothing_has_no_numbers_and_keeps_no_bound() -> None:
    found = report({})
    assert "none" in found.table()
    assert "nan" not in found.table()
    broken = BOUNDS.broken(found)
    assert len(broken) == 5
    assert "agreement: nothing was measured; at least 90.00% is asked for" in broken


def test_bounds_that_are_kept(found: Report) -> None:
    assert BOUNDS.broken(found) == []


@pytest.mark.parametrize(
    ("bound", "value", "said"),
    [
        ("images", 201, "images: 200 were compared; at least 201 is asked for"),
        ("failures", 0.04, "5.00% of the requests for it were not answered by it; at most 4.00%"),
        ("agreement", 0.94, "95.00% of the images are of one class, and at least 91.04% by the 95 % interval"),
        ("distance", 0.03, "distance: the mean is 0.0400; at most 0.03"),
        ("latency_ratio", 1.9, "at most 2.00 times what the model server's take; at most 1.9"),
    ],
)
def test_each_bound_that_is_broken_is_named_with_its_value(found: Report, bound: str, value: float, said: str) -> None:
    (line,) = Bounds(**{**vars(BOUNDS), bound: value}).broken(found)
    assert line.startswith(f"{bound}: ")
    assert said in line


def test_calls_longer_than_is_measured_break_every_ratio() -> None:
    found = report(parse(PAGE.replace('canary",le="0.2"} 100.0', 'canary",le="0.2"} 90.0')))
    assert "more than is measured" in found.table()
    (line,) = Bounds(**{**vars(BOUNDS), "latency_ratio": 1e9}).broken(found)
    assert line.startswith("latency_ratio")


GOOD = "images = 500\nfailures = 0.01\nagreement = 0.95\ndistance = 0.05\nlatency_ratio = 1.5\n"


def test_a_file_of_bounds(tmp_path: Path) -> None:
    path = tmp_path / "bounds.toml"
    path.write_text(GOOD)
    assert Bounds.read(path) == Bounds(500, 0.01, 0.95, 0.05, 1.5)
    path.write_text(GOOD.replace("1.5", "inf"))
    assert Bounds.read(path).latency_ratio == math.inf


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("distance", "distanse"), "distance, distanse"),
        (GOOD.replace("images = 500\n", ""), "images"),
        (GOOD.replace("0.01", "'some'"), "failures"),
        (GOOD.replace("0.01", "true"), "failures"),
        (GOOD.replace("0.01", "-1"), "failures"),
        (GOOD.replace("0.01", "nan"), "failures"),
        ("images", "bounds.toml"),
    ],
)
def test_a_file_that_is_no_file_of_bounds(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bounds.toml"
    path.write_text(text)
    with pytest.raises(CanaryError, match=said):
        Bounds.read(path)


def test_no_file_of_bounds(tmp_path: Path) -> None:
    with pytest.raises(CanaryError, match="nowhere"):
        Bounds.read(tmp_path / "nowhere.toml")
