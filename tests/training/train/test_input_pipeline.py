"""Batches: the pixels are the gateway's, seed and epoch give the order, and images move within bounds."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import converter.check.labelled
import gateway.classify.classifier
from brain_tumor.metadata import ImageSpec
from brain_tumor.preprocess import Preprocessor
from tests.training.scans import phantom
from training.data import reading
from training.data.data_set import find
from training.train.input_pipeline import Images, augment, training_batches, validation_batches
from training.train.recipes import Augmentation

AS_THEY_ARE = Augmentation(mirror=False)
RECIPES = Augmentation(mirror=True, rotation=8, zoom=0.08, shift=0.04, brightness=0.1, contrast=0.1)
SIDE = 32
CLASSES = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom(tmp_path_factory.mktemp("pipeline") / "data", training=12, testing=12)


@pytest.fixture(scope="module")
def scans(folder: Path) -> Images:
    """24 images, in the order of the data set's files."""
    data_set = find(folder)
    files = list(data_set.training)
    return Images(reading.read(folder, files, Preprocessor(ImageSpec(SIDE, SIDE))), data_set.labels(files))


def batches(
    scans: Images,
    augmentation: Augmentation = RECIPES,
    epochs: range = range(1),
    seed: int = 0,
    batch_size: int = 10,
    ood_samples: np.ndarray | None = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    result = training_batches(scans, ood_samples, CLASSES, batch_size, augmentation, seed, epochs)
    return list(result.as_numpy_iterator())


def assert_equal(first: list[tuple[np.ndarray, np.ndarray]], other: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for left, right in zip(first, other, strict=True):
        for mine, yours in zip(left, right, strict=True):
            np.testing.assert_array_equal(mine, yours)


def shown(result: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[bytes, int]]:
    """Every scan among the batches with its class, sorted."""
    return sorted(
        (image.tobytes(), int(target.argmax()))
        for pixels, targets in result
        for image, target in zip(pixels, targets, strict=True)
        if target.any()
    )


@pytest.mark.parametrize("resampling", ["bilinear", "lanczos"])
def test_the_images_are_those_the_gateway_would_ask_about(folder: Path, resampling: str) -> None:
    preprocessor = Preprocessor(ImageSpec(SIDE, SIDE, resampling))
    data_set = find(folder)
    files = list(data_set.training)
    scans = Images(reading.read(folder, files, preprocessor), data_set.labels(files))
    expected = [preprocessor.from_bytes((folder / file).read_bytes())[0] for file in files]
    expected_rows = sorted(zip([image.tobytes() for image in expected], data_set.labels(files).tolist(), strict=True))
    assert shown(batches(scans, AS_THEY_ARE)) == expected_rows
    pixels = np.concatenate([pixels for pixels, _ in validation_batches(scans, CLASSES).as_numpy_iterator()])
    np.testing.assert_array_equal(pixels, expected)


def test_training_gateway_and_converter_have_one_preprocessing() -> None:
    modules = (reading, gateway.classify.classifier, converter.check.labelled)
    assert all(module.Preprocessor is Preprocessor for module in modules)


def test_batches_are_bytes_and_targets_one_hot(scans: Images) -> None:
    assert scans.steps(10) == 3
    assert scans.steps(12) == 2
    result = batches(scans)
    assert [len(pixels) for pixels, _ in result] == [10, 10, 4]
    for pixels, targets in result:
        assert (pixels.dtype, pixels.shape[1:]) == (np.uint8, (SIDE, SIDE, 3))
        assert (targets.dtype, targets.shape[1:]) == (np.float32, (CLASSES,))
        assert set(targets.sum(1)) == {1.0}


def test_every_epoch_shows_every_image_once_in_another_order(scans: Images) -> None:
    result = batches(scans, AS_THEY_ARE, range(2))
    assert len(result) == 6
    assert shown(result[:3]) == shown(result[3:])
    assert len({image for image, _ in shown(result[:3])}) == 24
    orders = [[image.tobytes() for pixels, _ in half for image in pixels] for half in (result[:3], result[3:])]
    assert orders[0] != orders[1]


def test_validation_shows_every_image_once_in_order(scans: Images) -> None:
    many = Images(np.tile(scans.pixels, (3, 1, 1, 1)), np.tile(scans.labels, 3))  # more than a batch
    result = list(validation_batches(many, CLASSES).as_numpy_iterator())
    assert len(result) == 2
    np.testing.assert_array_equal(np.concatenate([pixels for pixels, _ in result]), many.pixels)
    np.testing.assert_array_equal(np.concatenate([targets for _, targets in result]).argmax(1), many.labels)


def test_a_run_that_goes_on_gets_the_batches_it_would_have_had(scans: Images) -> None:
    ood_samples = 255 - scans.pixels[:5]
    whole = batches(scans, epochs=range(4), ood_samples=ood_samples)
    assert_equal(whole[6:], batches(scans, epochs=range(2, 4), ood_samples=ood_samples))


def test_another_seed_gives_other_batches_and_the_same_one_the_same(scans: Images) -> None:
    first, same, other = (batches(scans, AS_THEY_ARE, seed=seed) for seed in (7, 7, 8))
    assert_equal(first, same)
    assert any((left[0] != right[0]).any() for left, right in zip(first, other, strict=True))


def test_the_largest_seed_is_one(scans: Images) -> None:
    assert len(batches(scans, seed=2**32 - 2)) == 3


def test_an_eighth_as_many_ood_samples_have_no_class(scans: Images) -> None:
    ood_samples = np.arange(10, 13, dtype=np.uint8)[:, None, None, None] * np.ones((1, SIDE, SIDE, 3), np.uint8)
    result = batches(scans, AS_THEY_ARE, epochs=range(4), batch_size=16, ood_samples=ood_samples)
    assert [len(pixels) for pixels, _ in result[:2]] == [18, 9]  # an eighth of 16 and of 8
    seen = set()
    for pixels, targets in result:
        ood = targets.sum(1) == 0
        assert ood.sum() == len(pixels) - round(len(pixels) / 1.125)
        for image in pixels[ood]:
            assert image.min() == image.max()
            seen.add(int(image[0, 0, 0]))
    assert seen == {10, 11, 12}
    assert shown(result[:2]) == shown(batches(scans, AS_THEY_ARE))


def test_even_the_smallest_batch_has_an_ood_sample(scans: Images) -> None:
    result = batches(scans, AS_THEY_ARE, batch_size=23, ood_samples=scans.pixels)
    assert [int((targets.sum(1) == 0).sum()) for _, targets in result] == [3, 1]


def turned(pixels: np.ndarray, augmentation: Augmentation, seed: int = 0) -> np.ndarray:
    return augment(tf.constant(pixels), augmentation, tf.constant([0, seed], tf.int64)).numpy()


def dots(count: int, x: int, y: int, side: int = 64) -> np.ndarray:
    """Black images with one bright dot of 3 by 3 around (x, y)."""
    pixels = np.zeros((count, side, side, 3), np.uint8)
    pixels[:, y - 1 : y + 2, x - 1 : x + 2] = 240
    return pixels


def centres(pixels: np.ndarray) -> np.ndarray:
    """Where the dots' centres of mass are, x and y: float (n, 2)."""
    grey = pixels[..., 0].astype(float)
    across = np.arange(pixels.shape[1])
    mass = grey.sum((1, 2))
    return np.stack([(grey.sum(1) * across).sum(1) / mass, (grey.sum(2) * across).sum(1) / mass], 1)


def test_without_augmentation_nothing_changes(scans: Images) -> None:
    np.testing.assert_array_equal(turned(scans.pixels, AS_THEY_ARE), scans.pixels)


@pytest.mark.parametrize("augmentation", [RECIPES, Augmentation(mirror=False, brightness=0.2)])
def test_augmented_images_are_images_by_their_seed(scans: Images, augmentation: Augmentation) -> None:
    result = turned(scans.pixels, augmentation)
    assert (result.dtype, result.shape) == (np.uint8, scans.pixels.shape)
    assert (result != scans.pixels).any((1, 2, 3)).mean() > 0.8  # few changes are too small to be seen
    np.testing.assert_array_equal(result, turned(scans.pixels, augmentation))
    assert (result != turned(scans.pixels, augmentation, seed=1)).any()
    # Each image has a change of its own.
    same = turned(np.repeat(scans.pixels[:1], 8, 0), augmentation)
    assert len({image.tobytes() for image in same}) == 8


def test_half_of_the_images_are_mirrored_left_to_right(scans: Images) -> None:
    pixels = np.tile(scans.pixels, (20, 1, 1, 1))
    result = turned(pixels, Augmentation(mirror=True))
    kept = (result == pixels).all((1, 2, 3))
    mirrored = (result == pixels[:, :, ::-1]).all((1, 2, 3))
    assert (kept ^ mirrored).all()
    assert 0.42 < mirrored.mean() < 0.58  # 480 images: 3.5 standard deviations


MARGIN = 0.3  # pixels; what rounding to bytes moves a centre of mass by


def test_a_shift_stays_within_its_share_of_the_side_and_reaches_it() -> None:
    moved = centres(turned(dots(300, 20, 40), Augmentation(mirror=False, shift=0.1))) - [20, 40]
    assert np.abs(moved).max() <= 6.4 + MARGIN
    assert (moved.min(0) < -5.5).all()
    assert (moved.max(0) > 5.5).all()
    assert np.abs(np.corrcoef(moved.T)[0, 1]) < 0.2  # along x and y by chances of their own


def test_a_rotation_stays_within_its_angle_around_the_middle_and_reaches_it() -> None:
    before = np.array([12, 20]) - 31.5
    after = centres(turned(dots(300, 12, 20), Augmentation(mirror=False, rotation=20))) - 31.5
    np.testing.assert_allclose(np.hypot(*after.T), np.hypot(*before), atol=MARGIN)
    angles = np.degrees(np.arctan2(after[:, 1], after[:, 0]) - np.arctan2(before[1], before[0]))
    angles = (angles + 180) % 360 - 180
    assert np.abs(angles).max() <= 20.5
    assert angles.min() < -18
    assert angles.max() > 18


def test_a_zoom_stays_within_its_share_and_reaches_it() -> None:
    before = np.array([12, 20]) - 31.5
    after = centres(turned(dots(300, 12, 20), Augmentation(mirror=False, zoom=0.2))) - 31.5
    scales = after / before
    np.testing.assert_allclose(scales[:, 0], scales[:, 1], atol=0.04)  # heads are not stretched
    # The transform zooms the coordinates by 0.8 to 1.2, and so the image by the inverse.
    assert 1 / 1.2 - 0.02 < scales.min() < 0.88
    assert 1.2 < scales.max() < 1 / 0.8 + 0.02


@pytest.mark.parametrize(("x", "y"), [(31, 6), (12, 10), (50, 14)])
def test_no_head_is_ever_upside_down(x: int, y: int) -> None:
    result = centres(turned(dots(400, x, y), RECIPES))
    assert result[:, 1].max() < 31.5
    # A dot moves no further than rotation, zoom and shift allow together, from its position or its mirror image.
    radius = np.hypot(x - 31.5, y - 31.5)
    furthest = (2 * radius * np.sin(np.radians(8) / 2) + 0.08 * radius + 0.04 * 64 * np.sqrt(2)) / (1 - 0.08)
    distance = np.minimum(np.hypot(*(result - [x, y]).T), np.hypot(*(result - [63 - x, y]).T))
    assert distance.max() <= furthest + 2 * MARGIN
    assert distance.max() > furthest / 2


def test_brightness_scales_grey_levels_within_its_bounds_and_clips_them() -> None:
    bright = Augmentation(mirror=False, brightness=0.2)
    grey = turned(np.full((300, 8, 8, 3), 100, np.uint8), bright)
    assert (grey == grey[:, :1, :1, :1]).all()
    assert 80 <= grey.min() < 83
    assert 117 < grey.max() <= 120
    assert turned(np.full((300, 8, 8, 3), 250, np.uint8), bright).max() == 255
    assert turned(np.zeros((300, 8, 8, 3), np.uint8), bright).max() == 0


def test_contrast_moves_grey_levels_from_the_images_mean_within_its_bounds() -> None:
    pixels = np.full((300, 8, 8, 3), 50, np.uint8)
    pixels[:, 4:] = 150
    result = turned(pixels, Augmentation(mirror=False, contrast=0.2)).astype(int)
    low, high = result[:, 0, 0, 0], result[:, -1, 0, 0]
    np.testing.assert_allclose(low + high, 200, atol=1)
    assert 80 <= (high - low).min() < 84
    assert 116 < (high - low).max() <= 120


def test_what_comes_into_view_is_the_nearest_edge_and_not_black() -> None:
    moved = turned(
        np.full((50, SIDE, SIDE, 3), 77, np.uint8), Augmentation(mirror=True, rotation=8, zoom=0.1, shift=0.1)
    )
    assert set(np.unique(moved)) == {77}
