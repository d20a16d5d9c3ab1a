import io

import numpy as np
from PIL import Image

from gateway.classify.overlay import MAX_SIDE, draw_overlay


def overlay(maps: np.ndarray, size: tuple[int, int] = (40, 30), index: int = 0) -> np.ndarray:
    png = draw_overlay(Image.new("RGB", size, (90, 90, 90)), maps.astype(np.float32), index)
    return np.asarray(Image.open(io.BytesIO(png)))


def spot(row: int, column: int, index: int = 0) -> np.ndarray:
    maps = np.zeros((3, 4, 2))
    maps[row, column, index] = 5
    return maps


def test_heat_lies_where_the_evidence_is():
    array = overlay(spot(2, 3)).astype(int)
    changed = np.abs(array - 90).sum(axis=2)
    assert np.unravel_index(changed.argmax(), changed.shape) >= (20, 30)
    assert changed[:10, :20].max() == 0
    assert array[-1, -1].tolist() == [189, 189, 189]  # white at 0.6 over 90


def test_weaker_evidence_is_redder():
    maps = np.zeros((1, 60, 2))
    maps[0, :, 0] = np.linspace(0, 1, 60)
    row = overlay(maps, (60, 16))[8].astype(int)
    assert (np.diff(row[:, 0]) >= -1).all() or row[20, 0] > row[20, 2]
    assert row[20, 0] > row[20, 1]
    assert row[59].min() > 150


def test_evidence_against_the_class_shows_nothing():
    assert (overlay(-spot(1, 1)) == 90).all()


def test_what_all_classes_share_shows_nothing():
    maps = spot(0, 0)
    shared = np.random.default_rng(0).normal(size=(3, 4, 1)) * 50
    np.testing.assert_allclose(overlay(maps + shared).astype(int), overlay(maps).astype(int), atol=1)


def test_the_other_class_s_map_counts_for_the_other_class():
    assert (overlay(spot(0, 0, index=1), index=0) == 90).all()
    assert (overlay(spot(0, 0, index=1), index=1) != 90).any()


def test_large_images_shrink_and_small_ones_stay():
    assert overlay(spot(0, 0), (2000, 1000)).shape == (MAX_SIDE // 2, MAX_SIDE, 3)
    assert overlay(spot(0, 0), (17, 33)).shape == (33, 17, 3)


def test_the_image_itself_is_left_alone():
    image = Image.new("RGB", (2000, 1000), (1, 2, 3))
    draw_overlay(image, spot(0, 0).astype(np.float32), 0)
    assert image.size == (2000, 1000)
    assert image.getpixel((0, 0)) == (1, 2, 3)


def test_extreme_values_do_not_overflow():
    assert overlay(spot(0, 0) * 1e37).shape == (30, 40, 3)
    assert overlay(spot(0, 0) * 1e-44).shape == (30, 40, 3)
