"""What training measures is what the gateway counts."""

import numpy as np
import pytest
from scipy.special import softmax

from brain_tumor.metadata import ImageSpec, ModelMetadata
from brain_tumor.quality import calibrate
from brain_tumor.reference import FEATURES, brightness
from gateway.metrics.predictions import Observed, Predictions
from training.train.reference import reference_of

IMAGES, TEMPERATURE = 400, 1.7


def test_the_gateway_counts_the_validation_images_as_training_did() -> None:
    rng = np.random.default_rng(0)
    pixels = (rng.integers(0, 256, (IMAGES, 1, 1, 1)) * rng.random((IMAGES, 40, 48, 3))).astype(np.uint8)
    sizes, logits = rng.integers(64, 3000, IMAGES).tolist(), rng.normal(0, 3, (IMAGES, 4)).astype(np.float32)
    reference = reference_of(pixels, sizes, logits, TEMPERATURE)
    assert tuple(reference) == FEATURES

    metadata = ModelMetadata(("a", "b", "c", "d"), ImageSpec(40, 48), temperature=TEMPERATURE, reference=reference)
    predictions = Predictions()
    served = softmax(logits / TEMPERATURE, axis=1), calibrate.energy(logits)
    for image, probabilities, score, size in zip(pixels, *served, sizes, strict=True):
        index = int(probabilities.argmax())
        observed = Observed(index, float(probabilities[index]), float(score), brightness(image), size)
        predictions.observe(1, metadata, observed)
    for metric in predictions.collect():
        if metric.name == "gateway_population_stability_index":
            assert {sample.labels["feature"] for sample in metric.samples} == set(FEATURES)
            assert [sample.value for sample in metric.samples] == pytest.approx([0] * len(FEATURES), abs=0.05)
        if metric.name == "gateway_brightness":
            counts = [sample.value for sample in metric.samples if sample.name.endswith("_bucket")]
            assert counts == np.cumsum(reference["brightness"].counts).tolist()


def test_few_images_are_no_reference() -> None:
    logits = np.zeros((100, 2), np.float32)
    assert reference_of(np.zeros((100, 4, 4, 3), np.uint8), [4] * 100, logits, 1.0) == {}
