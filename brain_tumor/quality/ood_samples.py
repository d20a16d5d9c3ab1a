"""Out-of-distribution (OOD) samples that measure the OOD score: images that show no head.

Training shows a network other families of such samples (``training.train.ood``), and none of these.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from brain_tumor.preprocess import Preprocessor

Pixels = NDArray[np.uint8]  # (size, size, 3)
Family = Callable[[np.random.Generator, int], Pixels]


def prepared(samples: Pixels, preprocessor: Preprocessor) -> Pixels:
    """OOD samples as the model would see them, were they sent to the gateway: uint8 (n, height, width, 3).

    Args:
        samples: uint8 (n, size, size, 3), RGB.
        preprocessor: The model's preprocessing, which may make them grey, or crop them to what looks like a head.
    """
    return np.concatenate([preprocessor.convert_to_tensor(Image.fromarray(sample)) for sample in samples])


def tint(rng: np.random.Generator, grey: NDArray[np.floating]) -> Pixels:
    """Grey levels 0..1 to pixels: half of them grey, half between two colours."""
    if rng.random() < 0.5:
        low, high = np.sort(rng.uniform(0, 255, 2))[:, None] * np.ones(3)
    else:
        low, high = rng.uniform(0, 255, (2, 3))
    return (low + np.asarray(grey)[..., None] * (high - low)).astype(np.uint8)


def _noise(rng: np.random.Generator, size: int) -> Pixels:
    shape = (size, size, 3) if rng.random() < 0.5 else (size, size, 1)
    return np.broadcast_to(rng.integers(0, 256, shape, dtype=np.uint8), (size, size, 3))


def _gradient(rng: np.random.Generator, size: int) -> Pixels:
    y, x = np.mgrid[:size, :size] / size
    angle = rng.uniform(0, 2 * np.pi)
    ramp = x * np.cos(angle) + y * np.sin(angle)
    return tint(rng, (ramp - ramp.min()) / np.ptp(ramp))


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
