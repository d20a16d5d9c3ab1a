"""A small phantom on disk, for the tests that need one, and its images as arrays."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from training.phantom.dataset import MASKS, Plan, write


def phantom(
    folder: Path, training: int = 12, testing: int = 12, size: int = 48, workers: int = 1, seed: int = 0
) -> Path:
    write(Plan(training, testing, seed=seed, size=size, masks=True), folder, workers)
    return folder


def squares(folder: Path) -> Path:
    """Two classes of grey squares, four images each in Training, two in Testing."""
    for split, count in (("Training", 4), ("Testing", 2)):
        for level, name in ((60, "dark"), (180, "bright")):
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                Image.new("L", (20, 20), level + index).save(folder / split / name / f"{index}.png")
    return folder


def manifest(folder: Path) -> list[dict]:
    return json.loads((folder / "manifest.json").read_text())["images"]


def image(folder: Path, file: str) -> np.ndarray:
    """uint8 (size, size)."""
    return np.asarray(Image.open(folder / file))


def mask(folder: Path, file: str) -> np.ndarray:
    """bool (size, size)."""
    return np.asarray(Image.open((folder / MASKS / file).with_suffix(".png"))) > 0
