from datetime import UTC, datetime

import pytest

from brain_tumor_client import Retry
from brain_tumor_client.retry import seconds_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_waits_double_to_a_bound_and_differ() -> None:
    retry = Retry(first_wait=1, longest_wait=8)
    for failed, bound in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (5000, 8)):
        waits = [retry.wait(failed) for _ in range(200)]
        assert 0 <= min(waits) < bound / 4
        assert bound * 0.75 < max(waits) <= bound


def test_the_wait_is_never_shorter_than_the_service_asks() -> None:
    waits = [Retry(longest_wait=1).wait(1, 40) for _ in range(200)]
    assert min(waits) >= 40
    assert len(set(waits)) > 100


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("-3", 0),
        ("1.5", 1.5),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30),
        ("Wed, 31 Dec 2025 23:59:00 GMT", 0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_what_a_header_says(header: str | None, seconds: float | None) -> None:
    assert seconds_of(header, NOW) == seconds


@pytest.mark.parametrize("options", [{"attempts": 0}, {"patience": -1}, {"first_wait": float("nan")}])
def test_policies_that_make_no_sense(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be|are seconds"):
        Retry(**options)
