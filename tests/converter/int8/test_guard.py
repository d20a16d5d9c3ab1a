"""The guard's arithmetic, without any network."""

import dataclasses
import json

import numpy as np
import pytest

from converter.int8.guard import BOUNDS, MIN_GROUPS, Form, Truth, correlation, judge
from converter.int8.runtime import Outputs

IMAGES, CLASSES, HEALTHY = 400, 4, 2
LABELS = np.arange(IMAGES) % CLASSES
TRUTH = Truth(LABELS, np.arange(IMAGES), HEALTHY)
RANDOM = np.random.default_rng(0)


def probabilities(predicted, confidence=0.97):
    given = np.full((len(predicted), CLASSES), (1 - confidence) / (CLASSES - 1))
    given[np.arange(len(predicted)), predicted] = confidence
    return given


FLOAT32 = Form(
    Outputs(probabilities(LABELS), RANDOM.normal(-10, 1, IMAGES), RANDOM.normal(0, 1, (IMAGES, 5, 6, CLASSES))),
    RANDOM.normal(0, 1, 300),
    -6.0,
)


def int8(**changes):
    scans = {name: changes.pop(name) for name in ("probabilities", "scores", "maps") if name in changes}
    return dataclasses.replace(FLOAT32, scans=dataclasses.replace(FLOAT32.scans, **scans), **changes)


def wrong(images, label=0):
    """The true classes, but for some images."""
    predicted = LABELS.copy()
    predicted[images] = label
    return probabilities(predicted)


def test_the_same_outputs_do_no_harm():
    verdict = judge(FLOAT32, int8(), TRUTH)
    assert verdict.failed == []
    assert verdict.harms.keys() == BOUNDS.keys()
    assert np.abs([harm.interval for harm in verdict.harms.values()]).max() < 1e-9
    assert verdict.harms["accuracy_lost"].float32 == verdict.harms["ood_auroc_lost"].int8 == 1
    assert verdict.harms["scans_flagged_more"].int8 == 0


def test_what_int8_does_better_is_no_harm():
    verdict = judge(
        int8(probabilities=wrong(slice(0, 80, 4), 1), sample_scores=FLOAT32.sample_scores - 6), int8(), TRUTH
    )
    assert {"accuracy_lost", "ood_auroc_lost", "ood_samples_flagged_less"}.isdisjoint(verdict.failed)
    assert verdict.harms["accuracy_lost"].harm == pytest.approx(-0.05)


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        (
            {"probabilities": wrong(slice(0, 160, 4), 1)},
            {"accuracy_lost", "classes_changed", "calibration_error_gained"},
        ),
        ({"probabilities": probabilities(LABELS, 0.7)}, {"calibration_error_gained"}),
        ({"sample_scores": FLOAT32.sample_scores - 10}, {"ood_auroc_lost", "ood_samples_flagged_less"}),
        ({"threshold": -10.0}, {"scans_flagged_more"}),
        ({"threshold": 0.0}, {"ood_samples_flagged_less"}),
        ({"maps": FLOAT32.scans.maps + RANDOM.normal(0, 1, (IMAGES, 5, 6, CLASSES))}, {"maps_changed"}),
        # As the gateway draws a map: whatever all classes share, and its scale, make no difference.
        ({"maps": 3 * FLOAT32.scans.maps + RANDOM.normal(0, 1, (IMAGES, 5, 6, 1))}, set()),
    ],
    ids=["accuracy", "calibration", "scores", "low threshold", "high threshold", "maps", "shared evidence"],
)
def test_each_harm_is_found(changes, failed):
    assert set(judge(FLOAT32, int8(**changes), TRUTH).failed) == failed


def test_a_few_tumours_more_that_are_missed_are_too_many():
    """Their share is of the tumours alone, and 7 of 300 are too many although 7 of 400 images are few."""
    missed = np.flatnonzero(LABELS == 0)[:5]
    harm = judge(FLOAT32, int8(probabilities=wrong(missed, HEALTHY)), TRUTH).harms["tumours_missed_more"]
    assert harm.harm == pytest.approx(5 / 300)
    assert not harm.is_allowed
    assert "tumours_missed_more" not in judge(FLOAT32, int8(), dataclasses.replace(TRUTH, healthy=None)).harms


def test_intervals_are_of_groups():
    """Mistakes on the images of few patients say less of other patients than as many on one image each."""
    images = slice(0, 16)
    single = judge(FLOAT32, int8(probabilities=wrong(images)), TRUTH).harms["classes_changed"]
    together = dataclasses.replace(TRUTH, groups=np.arange(IMAGES) // 8)
    of_patients = judge(FLOAT32, int8(probabilities=wrong(images)), together).harms["classes_changed"]
    assert single.harm == of_patients.harm == pytest.approx(12 / 400)
    assert of_patients.interval[1] > single.interval[1] + 0.01


def test_without_threshold_or_maps_they_are_not_judged():
    plain = int8(maps=None, threshold=None)
    assert judge(plain, plain, TRUTH).harms.keys() == BOUNDS.keys() - {
        "maps_changed",
        "scans_flagged_more",
        "ood_samples_flagged_less",
    }


def test_so_many_groups_that_no_change_among_them_says_something():
    assert MIN_GROUPS == 150  # 3 of 150 are the 2 % that a harm may be


def test_the_verdict_is_written_and_shown():
    verdict = judge(FLOAT32, int8(threshold=-10.0), TRUTH)
    document = json.loads(json.dumps(verdict.document()))
    assert (document["judged_against"], document["images"], document["groups"]) == ("float32", IMAGES, IMAGES)
    assert document["figures"]["accuracy_lost"] == {
        "float32": 1.0,
        "int8": 1.0,
        "harm": 0.0,
        "interval": [0.0, 0.0],
        "bound": 0.02,
    }
    marked = [line.split("  ")[1] for line in verdict.lines() if line.endswith("too much")]
    assert marked == ["scans flagged more"]


def test_the_correlation_of_maps():
    first, second = RANDOM.normal(0, 1, (2, 30))
    assert correlation(first, 2 * first + 1) == pytest.approx(1)
    assert correlation(first, -first) == 0
    assert correlation(first, second) == pytest.approx(max(0, np.corrcoef(first, second)[0, 1]))
    assert correlation(np.zeros(5), np.zeros(5)) == 1
    assert correlation(np.zeros(5), np.arange(5.0)) == 0
