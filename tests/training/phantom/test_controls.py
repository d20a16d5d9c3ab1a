"""The phantom has no shortcut: a classifier needs the tumour, and the tumour alone is enough.

Chance is 0.25. On the 480 test images here its standard deviation is 0.02, so a limit of 0.33 lies four of them away.
The tumours themselves change an image's statistics a little, so those have a wider limit, far from the accuracy that
the mask gives. Other tests show that these classifiers would find a shortcut: on the same images with one built in.
"""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier

from tests.training.scans import image, manifest, mask, phantom
from training.phantom.patient import scan

PLANES = ("axial", "coronal", "sagittal")


class Scans:
    """A phantom's images (n, size, size), their masks, and their entries in the manifest."""

    def __init__(self, folder: Path) -> None:
        entries = manifest(folder)
        self.pixels = np.stack([image(folder, entry["file"]) for entry in entries]).astype(np.float32)
        self.masks = np.stack([mask(folder, entry["file"]) for entry in entries])
        self.classes = np.array([entry["class"] for entry in entries])
        self.planes = np.array([PLANES.index(entry["plane"]) for entry in entries])
        self.training = np.array([entry["split"] == "Training" for entry in entries])

    def accuracy(self, features: np.ndarray) -> float:
        """The accuracy on the test patients of a forest that learns from the training patients."""
        forest = RandomForestClassifier(200, min_samples_leaf=3, random_state=0)
        forest.fit(features[self.training], self.classes[self.training])
        return forest.score(features[~self.training], self.classes[~self.training])


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Scans:
    return Scans(phantom(tmp_path_factory.mktemp("controls") / "data", training=480, testing=240, size=64, workers=2))


def mean_intensity(pixels: np.ndarray) -> np.ndarray:
    return pixels.mean((1, 2))[:, None]


def statistics(pixels: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """Histogram, border, moments of the grey levels and of the outline; and the plane."""
    size = pixels.shape[1]
    histograms = np.stack([np.histogram(image, 32, (0, 256))[0] for image in pixels]) / size**2
    border = np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], axis=1)
    mean, deviation = pixels.mean((1, 2)), pixels.std((1, 2))
    standard = (pixels - mean[:, None, None]) / deviation[:, None, None]
    ticks = np.arange(size) / size - 0.5
    weights = pixels / pixels.sum((1, 2), keepdims=True)
    x, y = weights.sum(1) @ ticks, weights.sum(2) @ ticks
    spread = weights.sum(1) @ ticks**2 - x**2, weights.sum(2) @ ticks**2 - y**2
    area = (pixels > 25).mean((1, 2))
    moments = [mean, deviation, (standard**3).mean((1, 2)), (standard**4).mean((1, 2)), x, y, *spread, area, planes]
    return np.column_stack([histograms, border.mean(1), border.std(1), *moments])


def tumour(masks: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """The mask's area, place and shape in its plane."""
    rows = []
    for tumour_mask in masks:
        if not tumour_mask.any():
            rows.append([0.0] * 8)
            continue
        where = np.stack(np.nonzero(tumour_mask)) / tumour_mask.shape[0] - 0.5
        covariance = np.cov(where)
        area = tumour_mask.mean()
        fill = area / np.sqrt(np.linalg.det(covariance) + 1e-12)
        rows.append([area, *where.mean(1), *np.linalg.eigvalsh(covariance), fill, *np.ptp(where, axis=1)])
    return np.column_stack([rows, planes])


def test_mean_intensity_does_not_tell_the_class(scans: Scans) -> None:
    assert scans.accuracy(mean_intensity(scans.pixels)) < 0.33


def test_image_statistics_tell_little_of_the_class(scans: Scans) -> None:
    assert scans.accuracy(statistics(scans.pixels, scans.planes)) < 0.42


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("kind", ["glioma", "meningioma", "pituitary"])
def test_a_class_changes_nothing_but_the_tumour_and_what_it_displaces(kind: str, plane: str) -> None:
    """Head, cut, field of view, sequence, noise and brightness are the same."""
    for patient in range(2):
        with_tumour, without = (scan(0, patient, name, plane, 64) for name in (kind, "notumor"))
        for tumorous, healthy in zip(with_tumour, without, strict=True):
            far = ~ndimage.binary_dilation(tumorous.mask, iterations=12)
            same = tumorous.pixels == healthy.pixels
            assert same[far].mean() > 0.7
            assert not same[tumorous.mask].all()


def test_the_tumours_mask_tells_the_class(scans: Scans) -> None:
    assert scans.accuracy(tumour(scans.masks, scans.planes)) > 0.80


def test_tumours_of_all_kinds_overlap_in_area_and_brightness(scans: Scans) -> None:
    kinds = ("glioma", "meningioma", "pituitary")
    areas = {kind: scans.masks[scans.classes == kind].mean((1, 2)) for kind in kinds}
    levels = {
        kind: np.array([p[m].mean() for p, m in zip(scans.pixels, scans.masks, strict=True) if m.any()])[
            scans.classes[scans.masks.any((1, 2))] == kind
        ]
        for kind in kinds
    }
    for values in (areas, levels):
        for kind, other in product(kinds, kinds):
            low, high = np.quantile(values[other], [0.05, 0.95])
            assert low < np.median(values[kind]) < high, (kind, other)


def test_mean_intensity_would_find_a_brighter_class(scans: Scans) -> None:
    gain = np.where(scans.classes == "glioma", 1.8, 1.0)[:, None, None]
    assert scans.accuracy(mean_intensity(scans.pixels * gain)) > 0.33


def test_image_statistics_would_find_a_mark_in_the_border(scans: Scans) -> None:
    marked = scans.pixels.copy()
    marked[scans.classes == "pituitary", 0, :8] = 255
    assert scans.accuracy(statistics(marked, scans.planes)) > 0.42
