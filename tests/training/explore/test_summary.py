"""Known images give known numbers, and a planted flaw is named in the report."""

import numpy as np
import pytest

from training.explore.summary import majority_class_lookup, probability_of_superiority


def test_a_share_of_pairs_is_that_of_all_pairs() -> None:
    ours, others = np.array([3.0, 1, 2, 2]), np.array([2.0, 0, 1, 5, 2])
    counted = np.mean([(a > b) + (a == b) / 2 for a in ours for b in others])
    assert probability_of_superiority(ours, others) == {"share": pytest.approx(counted, abs=1e-4), "notable": False}


def test_a_difference_is_notable_only_beyond_chance() -> None:
    generator = np.random.default_rng(0)
    assert probability_of_superiority(generator.normal(1, 1, 100), generator.normal(0, 1, 100))["notable"]
    assert probability_of_superiority(generator.normal(-1, 1, 100), generator.normal(0, 1, 100))["notable"]
    assert not probability_of_superiority(generator.normal(0, 1, 100), generator.normal(0, 1, 100))["notable"]
    assert not probability_of_superiority(np.array([2.0]), np.array([1.0]))[
        "notable"
    ]  # always larger, but in a single pair


def test_a_lookup_predicts_the_commonest_class_of_the_same_key() -> None:
    split = np.array(["Training"] * 6 + ["Testing"] * 4)
    label = np.array([0, 0, 1, 1, 1, 1, 0, 1, 0, 1])
    keys = ["a", "a", "a", "b", "b", "b", "a", "a", "b", "unknown"]
    assert majority_class_lookup(keys, label, split) == 0.5  # right for the first and the last, whose key is new
    assert majority_class_lookup([None] * 10, label, split) == 0.5


def test_sizes_are_counted(explored) -> None:
    summary, _ = explored
    plain = summary["classes"]["Training"]["plain"]
    assert plain["different_sizes"] == 3
    assert plain["commonest_sizes"] == {"50x40": 8, "30x40": 4, "70x40": 4}
    assert summary["classes"]["Testing"]["white"]["commonest_sizes"] == {"50x40": 4}
    assert plain["formats"] == {"PNG L": 16}
    # 50x40 is white by the majority of Training: all 4 white ones of Testing, and the 2 plain ones of other sizes.
    assert summary["majority_class_lookup"] == {"nothing": 0.5, "size": 6 / 8, "format and mode": 0.5}


def test_a_white_frame_in_one_class_is_found(explored) -> None:
    summary, out = explored
    classes = summary["classes"]["Training"]
    assert classes["plain"]["border_not_black"] == 0
    assert classes["white"]["border_not_black"] == 15 / 16
    assert classes["white"]["means"]["border brightness"] == pytest.approx(255 * 15 / 16)
    assert summary["pairs"]["border brightness"]["white"]["share"] == pytest.approx(0.5 + 0.5 * 15 / 16, abs=1e-4)
    assert summary["pairs"]["border brightness"]["white"]["notable"]
    # Half of the images are white: their average is half a frame above that of all.
    for name in ("plain", "white"):
        assert summary["averages"][name]["border_difference"] > 80
        assert summary["averages"][name]["border_difference"] > 5 * summary["averages"][name]["border_by_chance"]
    page = (out / "report.html").read_text()
    assert "the border is not black in 93.8 % of white and in 0.0 % of plain" in page
    assert "Classes differ in border brightness" in page
