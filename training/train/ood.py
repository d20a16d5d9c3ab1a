"""Out-of-distribution (OOD) samples: images that show no head.

A network that has seen only heads is confident on any image. It is less confident on OOD samples if training shows it
such samples: outlier exposure (Hendrycks et al. 2019), here with the energy score (Liu et al. 2020). The families of
samples that training shows and those that measure the OOD score afterwards are different ones.
"""

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from brain_tumor.quality.ood_samples import Family, Pixels, tint


def training_samples(scans: Pixels, count: int, rng: np.random.Generator) -> Pixels:
    """OOD samples to learn from: uint8 (count, size, size, 3).

    Args:
        scans: uint8 (n, size, size, 3); some of them are cut up or recoloured to make samples.
        count: How many samples.
        rng: Decides what they show.
    """
    size = scans.shape[1]
    families: list[Family] = [
        _shapes,
        _stripes,
        _blocks,
        lambda rng, _: _shuffled_tiles(rng, scans[rng.integers(len(scans))]),
        lambda rng, _: _false_colours(rng, scans[rng.integers(len(scans))]),
    ]
    return np.stack([families[index % len(families)](rng, size) for index in range(count)])


def _shapes(rng: np.random.Generator, size: int) -> Pixels:
    image = Image.new("RGB", (size, size), tuple(int(v) for v in rng.integers(0, 256, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(1, 25)):
        x, y = rng.uniform(-0.2 * size, size, 2)
        w, h = rng.uniform(0.03, 0.7, 2) * size
        grey = int(rng.integers(0, 256))
        colour = (grey,) * 3 if rng.random() < 0.5 else tuple(int(v) for v in rng.integers(0, 256, 3))
        kind = rng.integers(3)
        if kind == 0:
            draw.rectangle((x, y, x + w, y + h), fill=colour)
        elif kind == 1:
            draw.ellipse((x, y, x + w, y + h), fill=colour)
        else:
            draw.line((x, y, *rng.uniform(0, size, 2)), fill=colour, width=int(rng.integers(1, 6)))
    return np.asarray(image)


def _stripes(rng: np.random.Generator, size: int) -> Pixels:
    y, x = np.mgrid[:size, :size] / size
    waves = [
        np.sin(rng.uniform(4, 120) * (x * np.cos(a) + y * np.sin(a))) for a in rng.uniform(0, np.pi, rng.integers(1, 4))
    ]
    return tint(rng, 0.5 + 0.5 * np.mean(waves, axis=0))


def _blocks(rng: np.random.Generator, size: int) -> Pixels:
    cells = int(rng.integers(3, 65))
    values = rng.random((cells, cells)) ** rng.uniform(0.5, 3)
    return tint(
        rng, np.clip(ndimage.zoom(values, size / cells, order=0, grid_mode=True, mode="nearest")[:size, :size], 0, 1)
    )


def _shuffled_tiles(rng: np.random.Generator, scan: Pixels) -> Pixels:
    cells = int(rng.choice([2, 4, 8]))
    side = scan.shape[0] // cells
    tiles = [scan[i * side : (i + 1) * side, j * side : (j + 1) * side] for i in range(cells) for j in range(cells)]
    order = rng.permutation(len(tiles))
    shuffled = np.zeros_like(scan)
    for position, index in enumerate(order):
        i, j = divmod(position, cells)
        shuffled[i * side : (i + 1) * side, j * side : (j + 1) * side] = np.rot90(tiles[index], int(rng.integers(4)))
    return shuffled


def _false_colours(rng: np.random.Generator, scan: Pixels) -> Pixels:
    inverted = 255 - scan if rng.random() < 0.5 else np.roll(scan, scan.shape[0] // 2, axis=(0, 1))
    return (inverted * rng.uniform(0.3, 1, 3)).astype(np.uint8)
