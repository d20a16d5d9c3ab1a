import numpy as np
import pytest
from scipy.special import softmax

from brain_tumor.quality import calibrate


@pytest.mark.parametrize("truth", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(truth: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (20_000, 4)).astype(np.float32)
    labels = np.array([rng.choice(4, p=row) for row in softmax(logits.astype(float) / truth, axis=1)])
    assert calibrate.temperature(logits, labels) == pytest.approx(truth, rel=0.05)


def test_energy_is_minus_logsumexp_and_larger_for_ood_samples() -> None:
    logits = np.array([[8.0, 0, 0, 0], [0, 0, 0, 0]], np.float32)
    scores = calibrate.energy(logits)
    np.testing.assert_allclose(scores, [-np.log(np.exp(8) + 3), -np.log(4)], rtol=1e-6)
    assert scores[1] > scores[0]


def test_the_threshold_accepts_99_percent() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (10_000, 4)).astype(np.float32)
    accepted = (calibrate.energy(logits) <= calibrate.threshold(logits)).mean()
    assert accepted == pytest.approx(0.99, abs=0.0005)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_another_form_of_a_calibrated_model_gets_the_temperature_of_the_same_probabilities(factor: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (50, 4))
    probabilities = softmax(logits / 1.5, axis=1)
    shifted = factor * logits + rng.normal(0, 5, (50, 1))
    assert calibrate.temperature_like(shifted, probabilities) == pytest.approx(1.5 * factor, rel=1e-3)


def test_a_threshold_moves_with_the_scores_near_it() -> None:
    given = np.random.default_rng(0).normal(-8, 2, 200)
    moved = given + 0.5 + np.random.default_rng(1).normal(0, 0.1, 200)
    assert calibrate.threshold_like(moved, given, -3.0) == pytest.approx(-2.5, abs=0.05)
    assert calibrate.threshold_like(np.maximum(moved, -8.5), given, -3.0) == pytest.approx(-2.5, abs=0.05)
