"""From a JPEG to what the network takes, as every peer does it: Pillow, then float32.

The environment variable ``PEERS_NETWORK`` names the network's folder (``benchmarks/peers/networks.py``).
"""

import io
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

NETWORK = Path(os.environ["PEERS_NETWORK"])
_SETTINGS = json.loads((NETWORK / "network.json").read_text())
SIZE = (_SETTINGS["image"]["width"], _SETTINGS["image"]["height"])
INPUT = _SETTINGS["input"]
RESAMPLING = Image.Resampling[_SETTINGS["image"]["resampling"].upper()]


def pixels(image: Image.Image) -> np.ndarray:
    """float32 (1, side, side, 3), scaled as the network expects."""
    batch = np.asarray(image.convert("RGB").resize(SIZE, RESAMPLING), np.float32)[np.newaxis]
    return scaled(batch)


def scaled(batch: np.ndarray) -> np.ndarray:
    return batch / np.float32(127.5) - np.float32(1) if _SETTINGS["scaling"] == "tf" else batch


def decoded(jpeg: bytes) -> np.ndarray:
    """The same of a file's bytes."""
    with Image.open(io.BytesIO(jpeg)) as image:
        return pixels(image)


def response(probabilities: np.ndarray) -> dict[str, dict[str, float]]:
    """The JSON of a response, from the network's output (1, classes)."""
    return {"probabilities": dict(zip(_SETTINGS["class_names"], probabilities[0].tolist(), strict=True))}
