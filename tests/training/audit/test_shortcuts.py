"""Classifiers that see no tumour find a shortcut where there is one, and only there."""

import numpy as np
import pytest

from training.audit.shortcuts import shortcuts
from training.explore.measure import Measured


def measured(number: int, border: float, brightness: float) -> Measured:
    file = f"Training/class/{number}.jpg"
    return Measured(
        file, "Training", "class", 200, 200, "JPEG", "L", 9000, brightness, 40.0, 0.3, border, border / 2, 0.5
    )


@pytest.mark.parametrize(("step", "is_shortcut"), [(0.0, False), (30.0, True)])
def test_a_frame_of_one_class_is_a_shortcut_and_chance_is_none(step: float, is_shortcut: bool) -> None:
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(4, size=400), np.arange(400) // 2
    images = [measured(i, rng.normal(20, 5) + step * (labels[i] == 2), rng.normal(60, 10)) for i in range(400)]
    results = {result["sees"]: result for result in shortcuts(images, labels, groups, trees=50)}
    assert set(results) == {"border", "size and format", "brightness", "all of these"}
    assert all(result["chance"] == 0.25 for result in results.values())
    assert (results["border"]["interval"][0] > 0.35) == is_shortcut
    assert (results["all of these"]["interval"][0] > 0.35) == is_shortcut
    assert results["brightness"]["interval"][0] < 0.3
    assert results["size and format"]["balanced_accuracy"] < 0.3


def test_copies_do_not_help_a_shortcut() -> None:
    """Brightness identifies the patient, who has one class: if a fold divided groups, that would look like skill."""
    rng = np.random.default_rng(0)
    classes, levels = rng.integers(2, size=60), rng.uniform(0, 200, 60)
    groups = np.repeat(np.arange(60), 8)
    images = [measured(i, 10, levels[group] + rng.normal(0, 0.1)) for i, group in enumerate(groups)]

    def brightness(kept: np.ndarray) -> float:
        results = {result["sees"]: result for result in shortcuts(images, classes[groups], kept, trees=50)}
        return results["brightness"]["balanced_accuracy"]

    assert brightness(np.arange(len(groups))) > 0.9
    assert brightness(groups) < 0.75
