"""Decides whether two images show the same: lays one over the other and compares them tile by tile.

Perceptual hashes confuse many heads with each other; only details distinguish them. So each image is reduced to its
local contrast, and one image is moved over the other until both agree best, by inverse compositional alignment over
affine maps (Baker and Matthews 2004). Then the images must agree in most tiles; a banner spoils only a few of them.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from portable_model_server.engines.cpu import cpu_limit
from training.audit.candidates import Candidates
from training.audit.views import Matrix

# The agreement of unrelated images of the phantom is at most 0.90, that of neighbouring slices of a head at most 0.97.
# Copies agree better than this bound, except those that lost detail because they were made smaller than a thumbnail.
MIN_AGREEMENT = 0.94
_BATCH = 1000  # pairs at a time
_MIN_OVERLAP = 0.5  # share of the second image that must lie on the first
_TILES = 8  # a side
_MIN_TEXTURE = 6.0  # standard deviation, in grey levels, of a tile that is compared
_MIN_TILES = 8  # with that texture
_SURROUNDINGS = 1 / 24  # share of the side, at least 2 pixels: standard deviation of the local mean
_SMOOTHING = 0.7  # standard deviation in pixels of a thumbnail; compression artefacts are finer than that
_NOISE = 5.0  # grey levels; a lower contrast is noise

_Aligned = tuple[NDArray[np.float64], NDArray[np.float64]]  # scores (n,), maps (n, 3, 3)
_NOTHING: _Aligned = (np.empty(0), np.empty((0, 3, 3)))


@dataclass(frozen=True)
class _Stage:
    """A stage of the comparison.

    Attributes:
        side: Side of the images, in pixels.
        steps: Steps of alignment.
        min_score: The correlation that a pair needs to reach the next stage.
    """

    side: int
    steps: int
    min_score: float


# The first stage compares many pairs roughly, the last one few pairs closely.
_STAGES = (_Stage(32, 0, 0.5), _Stage(32, 3, 0.7), _Stage(48, 6, 0.68))


def agreement(pairs: Candidates, thumbnails: NDArray[np.uint8], maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """How well the images of each pair agree once they are aligned.

    Args:
        pairs: The pairs of images.
        thumbnails: The grey images: uint8 (image, side, side).
        maps: An estimate of the map from each pair's second image to its first: float64 (n, 3, 3).

    Returns:
        The median of the tiles' correlations, or -1 for pairs that an early stage rejected: float64 (n,).
    """
    result = np.full(len(pairs), -1.0)
    left = np.arange(len(pairs))
    for stage in _STAGES:
        scores, maps = _align_all(pairs.only(left), thumbnails, maps, stage)
        kept = scores >= stage.min_score
        left, maps = left[kept], maps[kept]
    for index, to_first in zip(left, maps, strict=True):
        pair = pairs.only(slice(index, index + 1))
        result[index] = _compare_tiles(thumbnails[pair.first[0]], thumbnails[pair.second[0]], to_first)
    return result


def _align_all(pairs: Candidates, thumbnails: NDArray[np.uint8], maps: NDArray[np.float64], stage: _Stage) -> _Aligned:
    images = np.stack([_local_contrast(thumbnail, stage.side) for thumbnail in thumbnails])

    def align(batch: slice) -> _Aligned:
        part = pairs.only(batch)
        return _align(images[part.first], images[part.second], maps[batch], stage.steps)

    batches = [slice(start, start + _BATCH) for start in range(0, len(pairs), _BATCH)]
    label = f"comparing at {stage.side} pixels"
    with ThreadPoolExecutor(cpu_limit()) as pool:
        aligned = list(tqdm(pool.map(align, batches), total=len(batches), desc=label, unit="batch"))
    scores, new_maps = zip(_NOTHING, *aligned, strict=True)
    return np.concatenate(scores), np.concatenate(new_maps)


def _local_contrast(thumbnail: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Grey levels minus their local mean, divided by their local deviation: float32 (side, side)."""
    cells = thumbnail.shape[0] // side
    smooth = ndimage.gaussian_filter(thumbnail.astype(np.float32), _SMOOTHING)
    grey = smooth.reshape(side, cells, side, cells).mean((1, 3))
    reach = max(2.0, _SURROUNDINGS * side)
    detail = grey - ndimage.gaussian_filter(grey, reach)
    return detail / (np.sqrt(ndimage.gaussian_filter(detail**2, reach)) + _NOISE)


def _align(
    firsts: NDArray[np.float32], seconds: NDArray[np.float32], maps: NDArray[np.float64], steps: int
) -> _Aligned:
    """Move each second image over its first image, and keep the map with the best correlation.

    Args:
        firsts: float32 (n, side, side).
        seconds: float32 (n, side, side).
        maps: The maps from second to first to begin with: float64 (n, 3, 3).
        steps: Steps of alignment.

    Returns:
        The best correlations (n,), and their maps (n, 3, 3).
    """
    side = firsts.shape[1]
    points = _points(side)
    target = seconds.reshape(len(seconds), -1)
    if steps:
        down, right = np.gradient(seconds, 1 / (side - 1), axis=(1, 2))
        slopes = np.stack([down, right], -1).reshape(len(seconds), -1, 2)
        # The change of the second image with the six numbers of an affine map: (n, pixel, 6).
        jacobian = (slopes[..., :, None] * points[None, :, None, :]).reshape(len(seconds), -1, 6)
        normal = np.linalg.inv(jacobian.transpose(0, 2, 1) @ jacobian + np.eye(6))
    best, best_maps, moved = np.full(len(firsts), -1.0), maps.copy(), maps
    for step in range(steps + 1):
        values, inside = _sample(firsts, moved, points)
        visible = target * inside
        scale = np.sqrt((values**2).sum(1) * (visible**2).sum(1)) + 1e-6
        score = np.where(inside.mean(1) >= _MIN_OVERLAP, (values * visible).sum(1) / scale, -1)
        better = score > best
        best[better], best_maps[better] = score[better], moved[better]
        if step < steps:
            change = normal @ (jacobian.transpose(0, 2, 1) @ (values - visible)[..., None])
            warp = np.broadcast_to(np.eye(3), moved.shape).copy()
            warp[:, :2] += np.clip(change.reshape(-1, 2, 3), -0.2, 0.2)
            moved = moved @ np.linalg.inv(warp)
    return best, best_maps


def _points(side: int) -> NDArray[np.float32]:
    """The homogeneous coordinates of every pixel, row by row: float32 (side * side, 3)."""
    ticks = np.linspace(0, 1, side, dtype=np.float32)
    rows, columns = np.meshgrid(ticks, ticks, indexing="ij")
    return np.stack([rows, columns, np.ones_like(rows)], -1).reshape(-1, 3)


def _sample(
    images: NDArray[np.float32], maps: NDArray[np.float64], points: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Sample each image bilinearly at the mapped points.

    Args:
        images: float32 (n, side, side).
        maps: float64 (n, 3, 3).
        points: float32 (point, 3).

    Returns:
        The values, 0 outside the image, and whether each point lies inside it: both (n, point).
    """
    count, side = images.shape[:2]
    mapped = (points @ maps[:, :2].transpose(0, 2, 1).astype(np.float32)) * (side - 1)
    inside = ((mapped >= 0) & (mapped <= side - 1)).all(-1)
    mapped = np.clip(mapped, 0, side - 1.001)
    corner = mapped.astype(np.int32)
    part = mapped - corner
    flat = images.reshape(-1)
    at = corner[..., 0] * side + corner[..., 1] + (np.arange(count, dtype=np.int32) * side**2)[:, None]
    down, right = part[..., 0], part[..., 1]
    above = flat.take(at) * (1 - right) + flat.take(at + 1) * right
    below = flat.take(at + side) * (1 - right) + flat.take(at + side + 1) * right
    return (above * (1 - down) + below * down) * inside, inside


def _compare_tiles(first: NDArray[np.uint8], second: NDArray[np.uint8], to_first: Matrix) -> float:
    """The median correlation of the tiles with texture, or -1 where too few tiles have texture."""
    side = len(second)
    values, inside = _sample(_local_contrast(first, side)[None], to_first[None], _points(side))
    firsts, seconds = _in_tiles(values[0], side), _in_tiles(_local_contrast(second, side), side)
    textured = _in_tiles(inside[0], side).all(1) & (_in_tiles(second, side).std(1) > _MIN_TEXTURE)
    if textured.sum() < _MIN_TILES:
        return -1.0
    firsts, seconds = (tiles - tiles.mean(1, keepdims=True) for tiles in (firsts, seconds))
    scale = np.sqrt((firsts**2).sum(1) * (seconds**2).sum(1)) + 1e-3
    return float(np.median(((firsts * seconds).sum(1) / scale)[textured]))


def _in_tiles(pixels: NDArray[np.generic], side: int) -> NDArray[np.generic]:
    """The pixels of each tile: (tile, pixel)."""
    cell = side // _TILES
    return pixels.reshape(_TILES, cell, _TILES, cell).swapaxes(1, 2).reshape(_TILES**2, -1)
