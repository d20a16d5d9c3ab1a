"""Images with known numbers, and data sets of them, for the tests of ``training.explore``."""

from pathlib import Path

import numpy as np
from PIL import Image


def grey(seed: int, height: int = 40, width: int = 50) -> np.ndarray:
    """uint8 (height, width), any grey level, black at the edge."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    pixels[:2] = pixels[-2:] = pixels[:, :2] = pixels[:, -2:] = 0
    return pixels


def write(folder: Path, classes: dict[str, list[Image.Image]], suffix: str = ".png", testing: int = 4) -> Path:
    """A data set without a manifest; the first ``testing`` images of each class go to Testing."""
    for name, images in classes.items():
        for index, image in enumerate(images):
            path = folder / ("Testing" if index < testing else "Training") / name / f"{index:02d}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
    return folder


def framed(image: np.ndarray) -> Image.Image:
    """The image with a white frame of two pixels."""
    white = np.full_like(image, 255)
    white[2:-2, 2:-2] = image[2:-2, 2:-2]
    return Image.fromarray(white)
