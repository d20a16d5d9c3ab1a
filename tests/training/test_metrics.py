"""Every metric against scikit-learn or a plain loop, and the intervals against what resampling groups must do."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as reference

from brain_tumor.quality.metrics import (
    Metrics,
    Predictions,
    auroc,
    calibration_error,
    intervals,
    measure,
    rounded,
    summary,
)

NAMES = ("glioma", "meningioma", "notumor", "pituitary")


def some_predictions(count: int = 200, seed: int = 0, names: tuple[str, ...] = NAMES) -> Predictions:
    """Random predictions, better than chance; two decimals, so that there are ties."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(names), count)
    scores = rng.gamma(1, 1, (count, len(names))) + 1.2 * np.eye(len(names))[labels]
    probabilities = np.round(scores / scores.sum(1, keepdims=True), 2)
    probabilities[:, 0] += 1 - probabilities.sum(1)
    return Predictions(names, probabilities, labels, np.arange(count), "notumor" if "notumor" in names else None)


@pytest.fixture(params=["unweighted", "weighted"])
def weights(request: pytest.FixtureRequest) -> np.ndarray:
    """float64 (200,), some of them 0."""
    return np.ones(200) if request.param == "unweighted" else np.random.default_rng(1).integers(0, 4, 200).astype(float)


def test_metrics_of_classes_are_scikit_learns(weights: np.ndarray) -> None:
    predictions = some_predictions()
    labels, predicted = predictions.labels, predictions.probabilities.argmax(1)
    metrics = measure(predictions, weights)
    assert metrics["accuracy"] == pytest.approx(reference.accuracy_score(labels, predicted, sample_weight=weights))
    assert metrics["macro_f1"] == pytest.approx(
        reference.f1_score(labels, predicted, average="macro", sample_weight=weights)
    )
    for index, name in enumerate(NAMES):
        actual, positive = labels == index, predicted == index
        recall = reference.recall_score(actual, positive, sample_weight=weights)
        specificity = reference.recall_score(~actual, ~positive, sample_weight=weights)
        assert metrics["sensitivity"][name] == pytest.approx(recall)
        assert metrics["specificity"][name] == pytest.approx(specificity)


def test_metrics_of_probabilities_are_scikit_learns(weights: np.ndarray) -> None:
    predictions = replace(some_predictions(), probabilities=np.maximum(some_predictions().probabilities, 0.01))
    predictions = replace(
        predictions, probabilities=predictions.probabilities / predictions.probabilities.sum(1, keepdims=True)
    )
    metrics = measure(predictions, weights)
    for index, name in enumerate(NAMES):
        expected = reference.roc_auc_score(
            predictions.labels == index, predictions.probabilities[:, index], sample_weight=weights
        )
        assert metrics["auroc"][name] == pytest.approx(expected)
    loss = reference.log_loss(predictions.labels, predictions.probabilities, sample_weight=weights)
    assert metrics["negative_log_likelihood"] == pytest.approx(loss)
    scores = [
        reference.brier_score_loss(
            predictions.labels == index, predictions.probabilities[:, index], sample_weight=weights
        )
        for index in range(4)
    ]
    assert metrics["brier"] == pytest.approx(sum(scores))  # one class's is 0 to 1, their sum 0 to 2


def test_ties_count_half() -> None:
    scores, positive = np.array([0.5, 0.5, 0.5, 0.1]), np.array([True, False, True, False])
    assert auroc(scores, positive, np.ones(4)) == 0.75


def test_calibration_error_is_that_of_a_plain_loop(weights: np.ndarray) -> None:
    predictions = some_predictions()
    confidence, correct = predictions.probabilities.max(1), predictions.probabilities.argmax(1) == predictions.labels
    confidence[:5] = [0, 1 / 15, 14 / 15, 1, 1]
    expected = 0.0
    for lower in range(15):
        inside = [int(value * 15) == lower or (value == 1 and lower == 14) for value in confidence]
        if weights[inside].sum():
            mean, rate = (np.average(values[inside], weights=weights[inside]) for values in (confidence, correct))
            expected += weights[inside].sum() / weights.sum() * abs(mean - rate)
    assert calibration_error(confidence, correct, weights) == pytest.approx(expected)
    assert expected > 0.02


def test_the_confusion_matrix_has_the_labels_in_its_rows_and_tumours_missed_are_counted() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    predicted = np.array([0, 2, 1, 1, 2, 0, 2, 3])
    metrics = summary(Predictions(NAMES, np.eye(4)[predicted], labels, np.array([0, 0, 1, 1, 2, 2, 3, 4]), "notumor"))
    assert metrics["confusion_matrix"] == reference.confusion_matrix(labels, predicted).tolist()
    assert metrics["confusion_matrix"] == [[1, 0, 1, 0], [0, 2, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]]
    assert (metrics["images"], metrics["groups"]) == (8, 5)
    assert (metrics["tumours"], metrics["tumours_missed"]) == (6, 2)
    assert metrics["tumours_missed_rate"] == pytest.approx(2 / 6)
    assert metrics["sensitivity"] == {"glioma": 0.5, "meningioma": 1.0, "notumor": 0.5, "pituitary": 0.5}


def test_the_class_without_tumour_may_have_any_name() -> None:
    labels, predicted = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 0, 0])
    metrics = summary(Predictions(("no", "yes"), np.eye(2)[predicted], labels, np.arange(5), "no"))
    assert (metrics["tumours"], metrics["tumours_missed"]) == (3, 2)
    other = summary(Predictions(("no", "yes"), np.eye(2)[predicted], labels, np.arange(5), "yes"))
    assert (other["tumours"], other["tumours_missed"]) == (2, 1)


def test_classes_of_which_none_is_known_as_healthy_have_no_tumours_missed() -> None:
    assert not {name for name in summary(some_predictions(20, names=("a", "b"))) if "tumour" in name}


def test_what_is_not_defined_is_none() -> None:
    predictions = some_predictions()
    some = predictions.only(predictions.labels < 2)  # no notumor, no pituitary among the truths
    metrics = summary(some)
    for name in ("notumor", "pituitary"):
        assert metrics["sensitivity"][name] is metrics["auroc"][name] is None
        assert metrics["intervals"]["sensitivity"][name] is metrics["intervals"]["auroc"][name] is None
        assert metrics["specificity"][name] is not None
    predicted = some.probabilities.argmax(1)
    assert metrics["macro_f1"] == pytest.approx(reference.f1_score(some.labels, predicted, average="macro"))
    one_class = summary(predictions.only(predictions.labels == 2))
    assert one_class["specificity"]["notumor"] is one_class["tumours_missed_rate"] is None
    nothing = measure(predictions.only(np.array([], int)), np.array([]))
    assert nothing["accuracy"] is nothing["brier"] is nothing["expected_calibration_error"] is None


def width(metrics: Metrics, name: str) -> float:
    low, high = metrics["intervals"][name]
    return high - low


@pytest.fixture(scope="module")
def of_sixty() -> Metrics:
    return summary(some_predictions(60))


def test_an_interval_holds_its_value(of_sixty: Metrics) -> None:
    intervals = of_sixty["intervals"]
    for name in ("accuracy", "macro_f1", "brier", "negative_log_likelihood", "tumours_missed_rate"):
        low, high = intervals[name]
        assert low < of_sixty[name] < high
    for name in ("sensitivity", "specificity", "auroc"):
        for inner, value in of_sixty[name].items():
            assert intervals[name][inner][0] < value < intervals[name][inner][1]


def test_an_interval_is_as_wide_as_theory_says(of_sixty: Metrics) -> None:
    accuracy = of_sixty["accuracy"]
    assert width(of_sixty, "accuracy") == pytest.approx(2 * 1.96 * np.sqrt(accuracy * (1 - accuracy) / 60), rel=0.1)


def test_intervals_are_reproducible(of_sixty: Metrics) -> None:
    assert summary(some_predictions(60)) == of_sixty


def test_a_class_that_a_resample_lacks_does_not_count_as_a_mistake() -> None:
    metrics = summary(Predictions(("a", "b"), np.eye(2)[[0, 0, 1]], np.array([0, 0, 1]), np.arange(3)))
    assert metrics["intervals"]["macro_f1"] == [1, 1]


def test_copies_in_one_group_are_no_evidence(of_sixty: Metrics) -> None:
    once = some_predictions(60)
    grouped = once.only(np.repeat(np.arange(60), 4))
    alone = summary(replace(grouped, groups=np.arange(240)))
    together = summary(grouped)
    assert (together["images"], together["groups"], alone["groups"]) == (240, 60, 240)
    for name in ("accuracy", "macro_f1", "brier"):
        assert together["intervals"][name] == pytest.approx(of_sixty["intervals"][name])
        assert width(alone, name) < 0.6 * width(together, name)  # half as wide, in theory


def test_groups_need_not_be_numbered_in_order(of_sixty: Metrics) -> None:
    renumbered = replace(some_predictions(60), groups=1000 - 7 * np.arange(60))
    assert summary(renumbered)["groups"] == 60
    assert width(summary(renumbered), "accuracy") == pytest.approx(width(of_sixty, "accuracy"), rel=0.1)


def test_an_interval_can_be_computed_for_any_metric() -> None:
    predictions = some_predictions(60)
    result = intervals(predictions, lambda _, weights: {"total": weights.sum(), "by": {"a": 1.0, "b": None}})
    assert result == {"total": [60, 60], "by": {"a": [1, 1], "b": None}}


def test_rounding_reaches_every_number_and_nothing_else() -> None:
    document = {"a": 0.123456, "b": [1, 2.00004, None], "c": {"d": (np.float64(1 / 3), "text")}, "e": True}
    assert rounded(document) == {"a": 0.1235, "b": [1, 2.0, None], "c": {"d": [0.3333, "text"]}, "e": True}
    assert rounded(1 / 3, 2) == 0.33
    assert str(rounded(-0.00001)) == "0.0"
