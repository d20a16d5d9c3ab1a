import numpy as np
import pytest

from brain_tumor.metadata import ImageSpec
from brain_tumor.preprocess import Preprocessor
from brain_tumor.quality import ood_samples
from training.train import ood


@pytest.mark.parametrize("name", ood_samples.TEST_FAMILIES)
def test_a_family_makes_images_that_its_seed_repeats(name: str) -> None:
    family = ood_samples.TEST_FAMILIES[name]
    first, again, other = (family(np.random.default_rng(seed), 40) for seed in (0, 0, 1))
    assert first.shape == (40, 40, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_ood_samples_for_training_are_no_copies_of_scans() -> None:
    scans = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    samples = ood.training_samples(scans, 25, np.random.default_rng(1))
    assert samples.shape == (25, 32, 32, 3)
    assert samples.dtype == np.uint8
    assert not any(np.array_equal(sample, scan) for sample in samples for scan in scans)


def test_ood_samples_are_prepared_as_the_gateway_would() -> None:
    samples = np.stack(
        [ood_samples.TEST_FAMILIES["natural texture"](np.random.default_rng(seed), 32) for seed in range(3)]
    )
    np.testing.assert_array_equal(ood_samples.prepared(samples, Preprocessor(ImageSpec(32, 32))), samples)
    grey = ood_samples.prepared(samples, Preprocessor(ImageSpec(32, 32, color_mode="grayscale")))
    assert np.ptp(samples, axis=-1).max() > 50
    assert np.ptp(grey, axis=-1).max() == 0
