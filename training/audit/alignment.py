"""Whether two images show the same, pixel by pixel, once one is laid over the other.

Perceptual hashes take many heads for one another. What tells them apart is detail: each image is reduced to its
local contrast, one is moved over the other until they agree best (inverse compositional alignment, Baker and Matthews
2004, over affine maps), and then they must agree in most places, tile by tile: a banner spoils a few.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from training.audit.candidates import Candidates
from training.audit.views import Matrix
from training.workers import cores

# The least agreement of a copy. Unrelated images of the phantom reach 0.90, neighbouring slices of a head 0.97.
# Copies are above that, but for those that lost detail: what shrank to fewer pixels than a thumbnail has.
COPIED = 0.94
_BATCH = 1000  # pairs at a time
_OVERLAP = 0.5  # the least share of the second image that lies on the first
_TILES = 8  # a side
_TEXTURE = 6.0  # the least standard deviation, grey levels, of a tile that says something
_FEWEST = 8  # tiles that must say something
_SURROUNDINGS = 1 / 24  # of the side, 2 pixels at least: standard deviation of what contrast is measured against
_SMOOTHING = 0.7  # standard deviation, pixels of a thumbnail: compression leaves less than that
_NOISE = 5.0  # grey levels; contrast below is noise

_Aligned = tuple[NDArray[np.float64], NDArray[np.float64]]  # scores (n,), maps (n, 3, 3)
_NOTHING: _Aligned = (np.empty(0), np.empty((0, 3, 3)))


@dataclass(frozen=True)
class _Round:
    """Side of the images (pixels), steps of alignment, and the least correlation to go on with."""

    side: int
    steps: int
    least: float


# From many pairs looked at briefly to few looked at closely.
_ROUNDS = (_Round(32, 0, 0.5), _Round(32, 3, 0.7), _Round(48, 6, 0.68))


def agreement(pairs: Candidates, thumbnails: NDArray[np.uint8], maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each pair agrees at its best: the median of the tiles' correlations, -1 where a look sufficed: (n,).

    Args:
        thumbnails: grey, uint8 (image, side, side).
        maps: roughly, where each point of a pair's second image lies in its first: (n, 3, 3).
    """
    result = np.full(len(pairs), -1.0)
    left = np.arange(len(pairs))
    for stage in _ROUNDS:
        scores, maps = _all_aligned(pairs.only(left), thumbnails, maps, stage)
        kept = scores >= stage.least
        left, maps = left[kept], maps[kept]
    for place, to_first in zip(left, maps, strict=True):
        pair = pairs.only(slice(place, place + 1))
        result[place] = _tiles(thumbnails[pair.first[0]], thumbnails[pair.second[0]], to_first)
    return result


def _all_aligned(
    pairs: Candidates, thumbnails: NDArray[np.uint8], maps: NDArray[np.float64], stage: _Round
) -> _Aligned:
    images = np.stack([_local_contrast(each, stage.side) for each in thumbnails])

    def aligned(batch: slice) -> _Aligned:
        chosen = pairs.only(batch)
        return _align(images[chosen.first], images[chosen.second], maps[batch], stage.steps)

    batches = [slice(start, start + _BATCH) for start in range(0, len(pairs), _BATCH)]
    label = f"comparing at {stage.side} pixels"
    with ThreadPoolExecutor(cores()) as pool:
        done = list(tqdm(pool.map(aligned, batches), total=len(batches), desc=label, unit="batch"))
    scores, moved = zip(_NOTHING, *done, strict=True)
    return np.concatenate(scores), np.concatenate(moved)


def _local_contrast(thumbnail: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Grey levels less their surroundings' mean, over their deviation: float32 (side, side)."""
    cells = thumbnail.shape[0] // side
    smooth = ndimage.gaussian_filter(thumbnail.astype(np.float32), _SMOOTHING)
    grey = smooth.reshape(side, cells, side, cells).mean((1, 3))
    reach = max(2.0, _SURROUNDINGS * side)
    detail = grey - ndimage.gaussian_filter(grey, reach)
    return detail / (np.sqrt(ndimage.gaussian_filter(detail**2, reach)) + _NOISE)


def _align(
    firsts: NDArray[np.float32], seconds: NDArray[np.float32], maps: NDArray[np.float64], steps: int
) -> _Aligned:
    """Move each second image over its first: the best correlation that was met (n,), and the map there (n, 3, 3).

    Args:
        firsts, seconds: (n, side, side). maps: to begin with.
    """
    side = firsts.shape[1]
    places = _places(side)
    wanted = seconds.reshape(len(seconds), -1)
    if steps:
        down, right = np.gradient(seconds, 1 / (side - 1), axis=(1, 2))
        slopes = np.stack([down, right], -1).reshape(len(seconds), -1, 2)
        # the change of the second image by the six numbers of an affine map: (n, pixel, 6)
        jacobian = (slopes[..., :, None] * places[None, :, None, :]).reshape(len(seconds), -1, 6)
        normal = np.linalg.inv(jacobian.transpose(0, 2, 1) @ jacobian + np.eye(6))
    best, best_maps, moved = np.full(len(firsts), -1.0), maps.copy(), maps
    for step in range(steps + 1):
        seen, inside = _look(firsts, moved, places)
        target = wanted * inside
        scale = np.sqrt((seen**2).sum(1) * (target**2).sum(1)) + 1e-6
        score = np.where(inside.mean(1) >= _OVERLAP, (seen * target).sum(1) / scale, -1)
        better = score > best
        best[better], best_maps[better] = score[better], moved[better]
        if step < steps:
            change = normal @ (jacobian.transpose(0, 2, 1) @ (seen - target)[..., None])
            warp = np.broadcast_to(np.eye(3), moved.shape).copy()
            warp[:, :2] += np.clip(change.reshape(-1, 2, 3), -0.2, 0.2)
            moved = moved @ np.linalg.inv(warp)
    return best, best_maps


def _places(side: int) -> NDArray[np.float32]:
    """Every pixel's homogeneous coordinates, row by row: (side * side, 3)."""
    ticks = np.linspace(0, 1, side, dtype=np.float32)
    rows, columns = np.meshgrid(ticks, ticks, indexing="ij")
    return np.stack([rows, columns, np.ones_like(rows)], -1).reshape(-1, 3)


def _look(
    images: NDArray[np.float32], maps: NDArray[np.float64], places: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The mapped places of each image, bilinearly, 0 outside of it: (n, place), and whether they lie inside."""
    count, side = images.shape[:2]
    found = (places @ maps[:, :2].transpose(0, 2, 1).astype(np.float32)) * (side - 1)
    inside = ((found >= 0) & (found <= side - 1)).all(-1)
    found = np.clip(found, 0, side - 1.001)
    corner = found.astype(np.int32)
    part = found - corner
    flat = images.reshape(-1)
    at = corner[..., 0] * side + corner[..., 1] + (np.arange(count, dtype=np.int32) * side**2)[:, None]
    down, right = part[..., 0], part[..., 1]
    above = flat.take(at) * (1 - right) + flat.take(at + 1) * right
    below = flat.take(at + side) * (1 - right) + flat.take(at + side + 1) * right
    return (above * (1 - down) + below * down) * inside, inside


def _tiles(first: NDArray[np.uint8], second: NDArray[np.uint8], to_first: Matrix) -> float:
    """The median correlation of the tiles with texture, -1 where too few have any."""
    side = len(second)
    contrast = [_local_contrast(each, side) for each in (first, second)]
    seen, inside = _look(contrast[0][None], to_first[None], _places(side))
    one, other = _in_tiles(seen[0], side), _in_tiles(contrast[1], side)
    telling = _in_tiles(inside[0], side).all(1) & (_in_tiles(second, side).std(1) > _TEXTURE)
    if telling.sum() < _FEWEST:
        return -1.0
    one, other = (each - each.mean(1, keepdims=True) for each in (one, other))
    scale = np.sqrt((one**2).sum(1) * (other**2).sum(1)) + 1e-3
    return float(np.median(((one * other).sum(1) / scale)[telling]))


def _in_tiles(pixels: NDArray[np.generic], side: int) -> NDArray[np.generic]:
    cell = side // _TILES
    return pixels.reshape(_TILES, cell, _TILES, cell).swapaxes(1, 2).reshape(_TILES**2, -1)
