"""The population stability index: its arithmetic, and how it behaves on traffic that is drawn at random."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from brain_tumor.quality.reference import measure
from brain_tumor.reference import FEATURES, Histogram
from gateway.metrics.drift import BOUNDS, LONG, SHORT, Windows, stability_index

VALIDATED = 1000  # images


@dataclass(frozen=True)
class Traffic:
    """What images are drawn from; the defaults are much like the phantom's."""

    classes: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25)
    doubt: float = 0.1  # the larger, the less confident
    ood_score: tuple[float, float] = (-11.0, 1.7)  # mean and standard deviation
    brightness: tuple[float, float] = (38.0, 9.0)
    sizes: tuple[int, ...] = (192,)

    def draw(self, rng: np.random.Generator, images: int) -> tuple[np.ndarray, ...]:
        """Probabilities, OOD scores, brightness and sizes."""
        rest = np.minimum(rng.exponential(self.doubt, images), 0.6)
        probabilities = np.tile((rest / 3)[:, None], 4)
        probabilities[np.arange(images), rng.choice(4, images, p=self.classes)] = 1 - rest
        scores, brightness = (rng.normal(*law, images) for law in (self.ood_score, self.brightness))
        return probabilities, scores, brightness, rng.choice(self.sizes, images)


USUAL = Traffic()
SHIFTS = {
    "another scanner: brighter": (replace(USUAL, brightness=(48.0, 11.0)), {"brightness"}),
    "another scanner: less contrast, and less sure": (
        replace(USUAL, doubt=0.25, ood_score=(-9.5, 1.7)),
        {"confidence", "ood_score"},
    ),
    "another class mix": (replace(USUAL, classes=(0.1, 0.1, 0.7, 0.1)), {"classes"}),
    "photos": (
        Traffic((0.05, 0.05, 0.85, 0.05), 0.4, (-4.0, 2.0), (110.0, 40.0), (1600, 3024, 4032)),
        set(FEATURES),
    ),
}


class Watched:
    """The windows of all features against one validation."""

    def __init__(self, reference: dict[str, Histogram]) -> None:
        self._reference = reference
        self._windows = {feature: Windows(histogram.counts) for feature, histogram in reference.items()}

    def add(self, drawn: tuple[np.ndarray, ...]) -> Iterator[int]:
        """Take the images; yields after each."""
        probabilities, scores, brightness, sizes = drawn
        values = (probabilities.argmax(1), probabilities.max(1), scores, brightness, sizes)
        bins = [
            np.searchsorted(self._reference[name].edges, of_images)
            for name, of_images in zip(FEATURES, values, strict=True)
        ]
        for number, row in enumerate(np.stack(bins, axis=1).tolist(), start=1):
            for feature, index in zip(FEATURES, row, strict=True):
                self._windows[feature].add(index)
            yield number

    def raised(self) -> set[str]:
        return {
            feature
            for feature, windows in self._windows.items()
            if any(index > BOUNDS[length] for length, index in windows.indices())
        }


def test_the_index_is_the_sum_over_the_bins_less_what_chance_brings():
    by_hand = (0.3 - 0.5) * math.log(0.3 / 0.5) + (0.7 - 0.5) * math.log(0.7 / 0.5)
    assert stability_index([30, 70], [500, 500]) == pytest.approx(by_hand - (1 / 100 + 1 / 1000))
    assert stability_index([50, 50], [500, 500]) == 0


def test_bins_without_images_count_nothing_and_half_an_image_stands_for_none():
    assert stability_index([30, 70, 0], [500, 500, 0]) == stability_index([30, 70], [500, 500])
    one_is_new = stability_index([99, 0, 1], [1000, 0, 0])
    assert 0 < one_is_new < 0.1
    assert stability_index([0, 100], [1000, 0]) > 5


@pytest.mark.parametrize("images", [SHORT, LONG])
def test_samples_of_any_size_have_the_index_of_their_populations(images):
    rng = np.random.default_rng(images)
    before, after = np.full(10, 0.1), np.array([0.06] * 5 + [0.14] * 5)
    of_populations = float(((after - before) * np.log(after / before)).sum())
    samples = [
        stability_index(rng.multinomial(images, after).tolist(), rng.multinomial(VALIDATED, before).tolist())
        for _ in range(400)
    ]
    assert np.mean(samples) == pytest.approx(of_populations, abs=0.012)


@pytest.mark.parametrize("length", [SHORT, LONG])
def test_a_window_holds_the_last_images_alone(length):
    rng = np.random.default_rng(length)
    bins = rng.integers(0, 4, 3 * LONG + 77).tolist()
    windows = Windows([50, 20, 10, 5])
    for number, index in enumerate(bins, start=1):
        windows.add(index)
        assert (length in dict(windows.indices())) == (number >= length)
    last = np.bincount(bins[-length:], minlength=4).tolist()
    assert dict(windows.indices())[length] == stability_index(last, [50, 20, 10, 5])


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_raised_in_20_000_images_that_do_not_shift(seed):
    rng = np.random.default_rng(seed)
    watched = Watched(measure(*USUAL.draw(rng, VALIDATED)))
    for number in watched.add(USUAL.draw(rng, 20_000)):
        if number % 10 == 0:
            assert watched.raised() == set(), number


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shift", SHIFTS)
def test_a_shift_is_raised_within_200_images(shift, seed):
    rng = np.random.default_rng(seed)
    watched = Watched(measure(*USUAL.draw(rng, VALIDATED)))
    list(watched.add(USUAL.draw(rng, LONG)))
    assert watched.raised() == set()
    traffic, features = SHIFTS[shift]
    list(watched.add(traffic.draw(rng, SHORT)))
    assert watched.raised() == features


def test_a_small_shift_is_found_in_the_long_window():
    rng = np.random.default_rng(7)
    watched = Watched(measure(*USUAL.draw(rng, VALIDATED)))
    list(watched.add(replace(USUAL, classes=(0.15, 0.15, 0.45, 0.25)).draw(rng, LONG)))
    assert watched.raised() == {"classes"}
