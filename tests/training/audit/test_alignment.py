"""Views and alignment on images that were moved in a known way."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from training.audit.alignment import agreement
from training.audit.candidates import Candidates, candidates
from training.audit.views import HEAD, NO_TOP, QUERIES, REFERENCES, WHOLE, View, head, matrix, sample

SIDE = 96


@pytest.fixture
def scene() -> np.ndarray:
    """uint8 (SIDE, SIDE): blobs of several sizes, brighter in an ellipse that lies off the centre."""
    rng = np.random.default_rng(0)
    field = sum(size * ndimage.gaussian_filter(rng.standard_normal((SIDE, SIDE)), size) for size in (1, 2, 5))
    y, x = np.mgrid[:SIDE, :SIDE]
    inside = ((y - 50) / 36) ** 2 + ((x - 44) / 28) ** 2 < 1
    return np.clip(inside * (120 + 60 * field / np.abs(field).max()), 0, 255).astype(np.uint8)


def points(image: np.ndarray) -> np.ndarray:
    return head(image.astype(np.float32))


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_view_undoes_the_turn_of_its_name(scene: np.ndarray, turns: int, mirrored: bool) -> None:
    changed = np.rot90(scene, turns)
    changed = changed[:, ::-1] if mirrored else changed
    views = [View(WHOLE, mirrored, 90.0 * turn) for turn in range(4)]
    seen = [sample(changed.astype(np.float32), matrix(view, points(changed)), SIDE) for view in views]
    assert min(np.abs(view - scene).max() for view in seen) < 1e-3


def test_the_head_looks_alike_wherever_it_lies(scene: np.ndarray) -> None:
    moved = np.roll(scene, (-8, 12), (0, 1))
    first, second = (
        sample(image.astype(np.float32), matrix(View(HEAD), points(image)), 32) for image in (scene, moved)
    )
    np.testing.assert_allclose(first, second, atol=0.01)


def test_a_view_without_the_top_ends_where_the_image_does(scene: np.ndarray) -> None:
    corners = matrix(View(NO_TOP), points(scene)) @ np.array([[0, 0, 1], [1, 1, 1]]).T
    np.testing.assert_allclose(corners[:2].T, [[0.12, 0], [1, 1]])


def test_nothing_bright_is_a_head_as_large_as_the_image() -> None:
    black = np.zeros((SIDE, SIDE), np.float32)
    np.testing.assert_allclose(np.ptp(head(black), axis=0), 1)
    assert np.isfinite(np.linalg.inv(matrix(View(HEAD, False, 12.0), head(black)))).all()


def test_candidates_are_each_pair_once_in_its_best_views() -> None:
    queries = np.full((3, len(QUERIES)), 0xFFFF0000FFFF0000, np.uint64)
    references = np.zeros((3, len(REFERENCES)), np.uint64)
    queries[2, 5] = 0b111
    queries[0, 1] = 0b1
    best = candidates(queries, references)
    pairs = sorted(zip(best.first, best.second, best.query, strict=True))
    assert [(first, query) for first, _, query in pairs] == [(0, 1), (0, 1), (2, 5)]
    assert {frozenset((first, second)) for first, second, _ in pairs} == {
        frozenset(pair) for pair in ((0, 1), (0, 2), (1, 2))
    }
    assert len(candidates(np.full_like(queries, 0xFFFF0000FFFF0000), references)) == 0


def agreed(first: np.ndarray, second: np.ndarray, start: np.ndarray) -> float:
    """The agreement of two images, aligned from a rough map."""
    pair = Candidates(*np.array([[0], [1], [0], [0]]))
    return float(agreement(pair, np.stack([first, second]), start[None])[0])


def test_an_image_that_was_turned_and_stretched_agrees_once_aligned(scene: np.ndarray) -> None:
    enlarged = Image.fromarray(scene).resize((400, 360), Image.Resampling.BICUBIC).rotate(5, Image.Resampling.BICUBIC)
    other = np.asarray(enlarged.crop((8, 6, 396, 352)).resize((SIDE, SIDE), Image.Resampling.BOX))
    assert agreed(other, scene, np.eye(3)) > 0.96


def test_a_banner_spoils_some_tiles_only(scene: np.ndarray) -> None:
    other = scene.copy()
    other[:12] = np.random.default_rng(1).integers(0, 256, (12, SIDE))
    assert agreed(other, scene, np.eye(3)) > 0.96


def test_the_same_outline_with_other_detail_does_not_agree(scene: np.ndarray) -> None:
    rng = np.random.default_rng(5)
    field = sum(size * ndimage.gaussian_filter(rng.standard_normal((SIDE, SIDE)), size) for size in (1, 2, 5))
    other = np.where(scene > 0, np.clip(120 + 60 * field / np.abs(field).max(), 0, 255), 0).astype(np.uint8)
    assert agreed(other, scene, np.eye(3)) < 0.9


def test_a_flat_image_is_no_copy_of_another() -> None:
    flat = np.full((SIDE, SIDE), 80, np.uint8)
    assert agreed(flat, flat, np.eye(3)) == -1
