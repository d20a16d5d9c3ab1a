"""Where in an image the model sees a class: its activation map, drawn over the image as heat.

Class activation maps: Zhou et al. 2016, https://arxiv.org/abs/1512.04150.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_SIDE = 512  # pixels of the overlay's longer side
_OPACITY = 0.6  # where the heat is highest
_COMPRESSION = 3  # zlib's level: a quarter of the default's time for a tenth more bytes


def draw_overlay(image: Image.Image, activation_maps: NDArray[np.float32], class_index: int) -> bytes:
    """Draw the evidence for one class as heat over an image.

    Evidence that all classes share is left out: a number that is added to every logit does not change the softmax.
    Evidence against the class is left out too. The heat is scaled by its highest value, for each image anew.

    Args:
        image: The part of the image that the model saw: upright, RGB.
        activation_maps: Shape (map height, map width, class).
        class_index: The class to explain.

    Returns:
        A PNG whose longer side has at most ``MAX_SIDE`` pixels.
    """
    evidence = activation_maps[..., class_index] - activation_maps.mean(axis=-1)
    heat = np.clip(evidence, 0, None)
    heat /= max(heat.max(), np.finfo(np.float32).tiny)
    base = image
    if max(image.size) > MAX_SIDE:
        base = image.copy()
        base.thumbnail((MAX_SIDE, MAX_SIDE))
    smooth = Image.fromarray(heat.astype(np.float32)).resize(base.size, Image.Resampling.BILINEAR)
    values = np.asarray(smooth)[..., np.newaxis]  # (height, width, 1), 0..1
    colour = np.clip(3 * values - np.arange(3, dtype=np.float32), 0, 1) * 255  # black, red, yellow, white
    opacity = _OPACITY * values
    blended = np.asarray(base) * (1 - opacity) + colour * opacity
    return encode(Image.fromarray(np.rint(blended).astype(np.uint8)))


def encode(image: Image.Image) -> bytes:
    """Encode an image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()
