"""Out-of-distribution (OOD) samples: images that show no head.

A network that has seen only heads is confident on any image. It is less confident on OOD samples if training shows it
such samples: outlier exposure (Hendrycks et al. 2019), here with the energy score (Liu et al. 2020). The families of
samples that training shows and those that measure the OOD score afterwards are different ones.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from brain_tumor.preprocess import Preprocessor

Pixels = NDArray[np.uint8]  # (size, size, 3)
Family = Callable[[np.random.Generator, int], Pixels]


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


def prepared(samples: Pixels, preprocessor: Preprocessor) -> Pixels:
    """OOD samples as the model would see them, were they sent to the gateway: uint8 (n, height, width, 3).

    Args:
        samples: uint8 (n, size, size, 3), RGB.
        preprocessor: The model's preprocessing, which may make them grey, or crop them to what looks like a head.
    """
    return np.concatenate([preprocessor.convert_to_tensor(Image.fromarray(sample)) for sample in samples])


def _tint(rng: np.random.Generator, grey: NDArray[np.floating]) -> Pixels:
    """Grey levels 0..1 to pixels: half of them grey, half between two colours."""
    if rng.random() < 0.5:
        low, high = np.sort(rng.uniform(0, 255, 2))[:, None] * np.ones(3)
    else:
        low, high = rng.uniform(0, 255, (2, 3))
    return (low + np.asarray(grey)[..., None] * (high - low)).astype(np.uint8)


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
    return _tint(rng, 0.5 + 0.5 * np.mean(waves, axis=0))


def _blocks(rng: np.random.Generator, size: int) -> Pixels:
    cells = int(rng.integers(3, 65))
    values = rng.random((cells, cells)) ** rng.uniform(0.5, 3)
    return _tint(
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


def _noise(rng: np.random.Generator, size: int) -> Pixels:
    shape = (size, size, 3) if rng.random() < 0.5 else (size, size, 1)
    return np.broadcast_to(rng.integers(0, 256, shape, dtype=np.uint8), (size, size, 3))


def _gradient(rng: np.random.Generator, size: int) -> Pixels:
    y, x = np.mgrid[:size, :size] / size
    angle = rng.uniform(0, 2 * np.pi)
    ramp = x * np.cos(angle) + y * np.sin(angle)
    return _tint(rng, (ramp - ramp.min()) / np.ptp(ramp))


def _text(rng: np.random.Generator, size: int) -> Pixels:
    dark_on_light = rng.random() < 0.7
    image = Image.new("L", (size, size), 240 if dark_on_light else 20)
    draw = ImageDraw.Draw(image)
    height = int(rng.integers(7, 16))
    for top in range(4, size, height + 3):
        letters = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz    ,.0123456789"), size=size // 4))
        draw.text((4, top), letters, fill=20 if dark_on_light else 240, font_size=height)
    return np.repeat(np.asarray(image)[..., None], 3, axis=2)


def _flat(rng: np.random.Generator, size: int) -> Pixels:
    colour = rng.integers(0, 256, 3) if rng.random() < 0.5 else np.repeat(rng.integers(0, 256), 3)
    return np.broadcast_to(colour.astype(np.uint8), (size, size, 3))


def _texture(rng: np.random.Generator, size: int) -> Pixels:
    """1/f noise in colour, whose spectrum is that of natural scenes (Field 1987)."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(rng.standard_normal((3, size, size))) / frequency ** rng.uniform(0.8, 1.6)
    field = np.fft.irfft2(spectrum, s=(size, size))
    mixed = np.einsum("cd,dij->ijc", 0.6 + 0.4 * rng.standard_normal((3, 3)), field)
    mixed = (mixed - mixed.mean()) / mixed.std()
    return np.clip(128 + 50 * mixed, 0, 255).astype(np.uint8)


# By their names in the model card; training shows none of them.
TEST_FAMILIES: dict[str, Family] = {
    "uniform noise": _noise,
    "gradient": _gradient,
    "text": _text,
    "flat colour": _flat,
    "natural texture": _texture,
}
