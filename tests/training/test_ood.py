import numpy as np
import pytest

from training.train import ood


@pytest.mark.parametrize("name", ood.MEASURED)
def test_a_family_makes_images_that_its_seed_repeats(name: str) -> None:
    family = ood.MEASURED[name]
    one, again, other = (family(np.random.default_rng(seed), 40) for seed in (0, 0, 1))
    assert one.shape == (40, 40, 3)
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_training_strangers_are_no_copies_of_scans() -> None:
    scans = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    strangers = ood.training_outliers(scans, 25, np.random.default_rng(1))
    assert strangers.shape == (25, 32, 32, 3)
    assert strangers.dtype == np.uint8
    assert not any(np.array_equal(stranger, scan) for stranger in strangers for scan in scans)
