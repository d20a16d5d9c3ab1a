"""Image files as people have them: heads on black, of different sizes and shapes, grey and coloured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from brain_tumor.metadata import BGR, NO_ANTIALIAS, ImageSpec
from brain_tumor.preprocess import Preprocessor

_SIZES = ((120, 100), (150, 150), (96, 130), (200, 170), (64, 64), (90, 140))  # height, width
_SIDE = 64  # of the images that the notebooks' networks take
_DESCRIBED: dict[str, dict[str, Any]] = {
    "dataset": {},
    "padded": {"pad_to_aspect_ratio": True},
    "cv2": {"color_mode": BGR},
}
_CLASSES = ("glioma", "meningioma", "notumor", "pituitary")


def write_images(folder: Path, seed: int = 3) -> list[Path]:
    """Write six PNG files into class folders; their paths in the order of the names."""
    random = np.random.default_rng(seed)
    paths = []
    for number, (height, width) in enumerate(_SIZES):
        image = Image.fromarray(_head(random, height, width))
        if number % 3 == 1:
            image = Image.merge(
                "RGB", (image, image.point(lambda value: value * 0.9), image.point(lambda value: value * 0.8))
            )
        path = folder / _CLASSES[number % len(_CLASSES)] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        paths.append(path)
    return sorted(paths)


def write_served(folder: Path, paths: Sequence[Path]) -> None:
    """Write what the service makes of the images by some descriptions, for notebooks that do something else."""
    folder.mkdir()
    for name, options in _DESCRIBED.items():
        preprocessor = Preprocessor(ImageSpec(_SIDE, _SIDE, NO_ANTIALIAS, **options))
        images = np.concatenate([preprocessor.from_path(path) for path in paths])
        np.save(folder / f"{name}.npy", images.astype(np.float32))


def _head(random, height, width):
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    a, b, dx, dy = random.uniform(0.55, 0.85, 2).tolist() + random.uniform(-0.1, 0.1, 2).tolist()
    distance = ((x - dx) / a) ** 2 + ((y - dy) / b) ** 2
    tissue = 120 + 60 * np.cos(random.uniform(3, 9) * x) * np.sin(random.uniform(3, 9) * y + 1)
    spot = 90 * np.exp(-(((x - random.uniform(-0.3, 0.3)) ** 2 + (y - random.uniform(-0.3, 0.3)) ** 2) / 0.02))
    head = np.where(distance < 1, tissue + spot, 0) + np.where(abs(distance - 1) < 0.12, 100, 0)
    noise = random.normal(0, 6, (height, width))
    return np.clip(head + noise, 0, 255).astype(np.uint8)
