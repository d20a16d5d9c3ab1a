"""Whether servers agree: those that do not get no ratios."""

import math

import pytest

from benchmarks.peers.agreement import TOLERANCE, compare

EXPECTED = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]


def moved(by: float) -> list[list[float]]:
    return [EXPECTED[0], [0.1 + by, 0.8 - by, 0.1]]


def test_a_difference_within_the_tolerance_agrees():
    agreement = compare(EXPECTED, moved(0.9 * TOLERANCE))
    assert agreement.holds
    assert agreement.difference == pytest.approx(0.9 * TOLERANCE)


def test_a_larger_one_of_a_single_image_does_not_and_says_by_how_much():
    agreement = compare(EXPECTED, moved(0.5))
    assert not agreement.holds
    assert str(agreement) == (
        "largest difference in probability 5.0e-01, the same class for 1 of 2 images: "
        "it computes something else, so no ratios"
    )
    assert not compare(EXPECTED, moved(1.1 * TOLERANCE)).holds


def test_of_int8_the_difference_is_only_told():
    agreement = compare(EXPECTED, moved(0.5), exact=False)
    assert agreement.holds
    assert str(agreement) == "largest difference in probability 5.0e-01, the same class for 1 of 2 images"


@pytest.mark.parametrize(
    "found",
    [
        [],
        EXPECTED[:1],
        [EXPECTED[0], [0.9, 0.1]],
        [EXPECTED[0], [math.nan, 0.8, 0.1]],
        [EXPECTED[0], [-0.1, 0.8, 0.3]],
        [EXPECTED[0], [0.1, 1.8, 0.1]],
    ],
    ids=["nothing", "an image less", "a class less", "NaN", "below 0", "above 1"],
)
def test_what_are_no_probabilities_of_the_same_images_is_refused(found):
    with pytest.raises(ValueError, match=r"zip|no probabilities"):
        compare(EXPECTED, found)


def test_nothing_agrees_with_nothing():
    with pytest.raises(ValueError, match="no probabilities"):
        compare([], [])
