import numpy as np
import pytest

from brain_tumor.quality.metrics import Predictions
from training.evaluate.operating_points import ANY_TUMOUR, operating_points

NAMES = ("glioma", "meningioma", "notumor", "pituitary")


def random_predictions(count: int, seed: int, confidence: float = 2.0) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 4)
    scores = np.exp(confidence * rng.normal(size=(count, 4)) + 1.5 * confidence * np.eye(4)[labels])
    return Predictions(NAMES, scores / scores.sum(1, keepdims=True), labels, np.arange(count), "notumor")


def two_classes(first: list[float], labels: list[int]) -> Predictions:
    """Predictions of the classes a and b, from the probabilities of a."""
    shares = np.array(first)
    return Predictions(("a", "b"), np.column_stack([shares, 1 - shares]), np.array(labels), np.arange(len(labels)))


@pytest.mark.parametrize("confidence", [0.2, 2.0, 20.0])
@pytest.mark.parametrize("count", [7, 40, 333])
def test_a_threshold_finds_on_validation_what_is_wanted(count: int, confidence: float) -> None:
    validation = random_predictions(count, count, confidence)
    points = operating_points(validation, validation)
    assert [point["finds"] for point in points[::3]] == [ANY_TUMOUR, *NAMES]
    for point in points:
        assert point["sensitivity"] >= point["wanted_sensitivity"]


def test_the_threshold_is_the_highest_that_does_on_validation() -> None:
    validation = random_predictions(333, 0)
    for point in operating_points(validation, validation)[3:]:  # of single classes
        index = NAMES.index(point["finds"])
        scores = validation.probabilities[validation.labels == index, index]
        higher = np.nextafter(scores[scores >= point["threshold"]].min(), 1)
        assert (scores >= higher).mean() < point["wanted_sensitivity"]
    point = operating_points(*[two_classes([value / 20 for value in range(20)], [0] * 20)] * 2)[0]
    assert point["sensitivity"] == 0.9  # 18 of 20, and no more


def test_thresholds_come_from_validation_and_metrics_from_the_test() -> None:
    validation = two_classes([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1], [0] * 9 + [1])
    test = two_classes([0.95, 0.16, 0.14, 0.05, 0.6, 0.155], [0, 0, 0, 0, 1, 1])
    first = operating_points(validation, test)[0]
    assert (first["finds"], first["wanted_sensitivity"]) == ("a", 0.9)
    assert first["threshold"] == pytest.approx(0.15, abs=1.1e-6)  # all nine: eight of nine are not enough
    assert first["sensitivity"] == 0.5
    assert first["specificity"] == 0.0


def test_any_tumour_is_whatever_is_not_none() -> None:
    validation = random_predictions(40, 1)
    point = operating_points(validation, validation)[0]
    score = 1 - validation.probabilities[:, 2]
    tumour = validation.labels != 2
    assert point["sensitivity"] == (score >= point["threshold"])[tumour].mean()
    assert point["specificity"] == (score < point["threshold"])[~tumour].mean()


def test_classes_of_which_none_is_known_as_healthy_have_no_point_of_any_tumour() -> None:
    predictions = two_classes([0.9, 0.2], [0, 1])
    assert {point["finds"] for point in operating_points(predictions, predictions)} == {"a", "b"}


def test_a_class_that_one_set_lacks_has_no_point_or_no_value() -> None:
    both, only_a = two_classes([0.9, 0.2], [0, 1]), two_classes([0.9, 0.2], [0, 0])
    assert {point["finds"] for point in operating_points(only_a, both)} == {"a"}
    points = {point["finds"]: point for point in operating_points(both, only_a)}
    assert points["a"]["specificity"] is points["b"]["sensitivity"] is None
    assert points["a"]["sensitivity"] is not None


def test_a_threshold_can_be_used_as_it_is_written() -> None:
    """With four decimals the threshold of a confident network would be written as 1, which no image reaches."""
    confident = two_classes([0.99997, 0.99996, 0.00002, 0.00001], [0, 0, 1, 1])
    for point in operating_points(confident, confident):
        assert point["threshold"] == round(point["threshold"], 6)
        assert (point["sensitivity"], point["specificity"]) == (1, 1)
