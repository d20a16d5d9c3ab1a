import numpy as np
import pytest

from training.train import ood


@pytest.mark.parametrize("name", ood.TEST_FAMILIES)
def test_a_family_makes_images_that_its_seed_repeats(name: str) -> None:
    family = ood.TEST_FAMILIES[name]
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
