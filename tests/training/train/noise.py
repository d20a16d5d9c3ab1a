"""Images of noise and a network to fit on them, for the tests that need no scans."""

from dataclasses import replace

import keras
import numpy as np

from tests.training.configurations import SIDE, configuration
from training.train import networks
from training.train.input_pipeline import Images
from training.train.options import Configuration

CLASSES = 3


def images(count: int, seed: int) -> Images:
    """Noise whose brightness nearly tells the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    pixels = rng.integers(0, 120, (count, SIDE, SIDE, 3)) + 50 * labels[:, None, None, None]
    return Images(pixels.astype(np.uint8), labels)


def network(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return networks.build("small", SIDE, CLASSES)


def short(**changes: object) -> Configuration:
    """Two epochs, and what the test changes of it."""
    return replace(configuration(batch_size=16, epochs=2), **changes)
