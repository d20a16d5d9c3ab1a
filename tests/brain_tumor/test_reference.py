import numpy as np
import pytest

from brain_tumor.quality.reference import measure
from brain_tumor.reference import FEATURES, Histogram, brightness


def measured(images: int) -> dict[str, Histogram]:
    rng = np.random.default_rng(images)
    probabilities = rng.dirichlet([0.5] * 4, images).astype(np.float32)
    return measure(probabilities, rng.normal(-10, 2, images), rng.uniform(0, 255, images), [192] * images)


def test_a_bin_holds_its_upper_bound():
    histogram = Histogram((1.0, 2.0), (1, 1, 1))
    assert [histogram.bin_of(value) for value in (-5, 1, 1.5, 2, 2.5)] == [0, 0, 1, 1, 2]


def test_each_feature_is_measured_in_parts_that_hold_equally_many():
    reference = measured(1000)
    assert tuple(reference) == FEATURES
    assert all(sum(histogram.counts) == 1000 for histogram in reference.values())
    for feature in ("confidence", "ood_score", "brightness"):
        assert reference[feature].counts == pytest.approx([100] * 10, abs=2), feature


def test_the_classes_are_the_predicted_ones():
    probabilities = np.eye(3, dtype=np.float32)[[2] * 150 + [0] * 50]
    reference = measure(probabilities, np.zeros(200), [0.0] * 200, [512] * 200)
    assert reference["classes"] == Histogram((0, 1), (50, 0, 150))


def test_values_that_are_all_the_same_have_no_parts():
    reference = measure(np.full((200, 2), 0.5), np.zeros(200), [0.0] * 200, [512] * 200)
    assert set(reference) == {"classes", "size"}


def test_sizes_have_bins_that_no_validation_image_is_in():
    size = measured(300)["size"]
    assert [size.edges[size.bin_of(192)], size.counts[size.bin_of(192)]] == [256, 300]
    assert size.counts[size.bin_of(4000)] == 0


def test_fewer_images_have_fewer_bins_or_none():
    assert len(measured(500)["brightness"].counts) == 5
    assert len(measured(200)["brightness"].counts) == 2
    assert measured(199) == {}


@pytest.mark.parametrize("shape", [(128, 128, 3), (1, 7, 3), (500, 33, 3)])
def test_brightness_is_about_the_mean(shape):
    pixels = np.linspace(10, 30, np.prod(shape)).reshape(shape).astype(np.uint8)
    assert brightness(pixels) == pytest.approx(pixels.mean(), abs=1)
