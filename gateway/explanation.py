"""Where in the image a class was seen: its activation map as a heat overlay.

Class activation maps: Zhou et al. 2016, https://arxiv.org/abs/1512.04150.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_SIDE = 512  # pixels of the overlay's longer side
_OPACITY = 0.6  # of the hottest place
_COMPRESSION = 3  # zlib's level: a quarter of the default's time for a tenth more bytes


def draw_overlay(image: Image.Image, activation_maps: NDArray[np.float32], class_index: int) -> bytes:
    """A PNG of the image, at most ``MAX_SIDE`` pixels long, with the evidence for one class as heat over it.

    What all classes share is left out, since it moves no probability (softmax keeps what is added to every logit
    out of its result), and so is evidence against the class. The hottest place of each image is drawn alike.

    Args:
        image: upright, RGB.
        activation_maps: (map height, map width, class)
    """
    evidence = activation_maps[..., class_index] - activation_maps.mean(axis=-1)
    heat = np.clip(evidence, 0, None)
    heat /= max(heat.max(), np.finfo(np.float32).tiny)
    base = image.copy()
    base.thumbnail((MAX_SIDE, MAX_SIDE))
    smooth = Image.fromarray(heat.astype(np.float32)).resize(base.size, Image.Resampling.BILINEAR)
    values = np.asarray(smooth)[..., np.newaxis]  # (height, width, 1), 0..1
    colour = np.clip(3 * values - np.arange(3, dtype=np.float32), 0, 1) * 255  # black, red, yellow, white
    opacity = _OPACITY * values
    blended = np.asarray(base) * (1 - opacity) + colour * opacity
    buffer = io.BytesIO()
    Image.fromarray(np.rint(blended).astype(np.uint8)).save(buffer, "PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()
