import numpy as np
import pytest
from scipy.special import softmax

from training.train import calibrate


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
