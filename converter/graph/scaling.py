"""From the pixels that are served, uint8 RGB, to the numbers that a model expects, where it leaves that to its caller.

It stays an operation of its own: merged into the first convolution, it saved no measurable time on either engine.
"""

from typing import Any

import keras
import tensorflow as tf

from converter.errors import ConversionError

_WHITE = 255.0
# ITU-R 601's luma in Pillow's integers (its convert("L")): exact in float32, for no sum reaches 2**24.
_LUMA, _LUMA_HALF, _LUMA_ONE = (19595.0, 38470.0, 7471.0), 32768.0, 65536.0
IMAGENET_SCALINGS = ("torch", "caffe")  # they treat red, green and blue differently


def network_input(images: Any, channels: int, scaling: str, dtype: str) -> Any:
    """What a network takes for images: (batch, height, width, channels) of ``dtype``.

    Args:
        images: uint8 (batch, height, width, 3), RGB.
        channels: 3, or 1 for a network that takes grey levels.
        scaling: One of ``brain_tumor.metadata.SCALINGS``; with one channel none of ``IMAGENET_SCALINGS``.
        dtype: A dtype's name.

    Raises:
        ConversionError: Integers are asked for, and scaled pixels are none.
    """
    if tf.as_dtype(dtype).is_integer and scaling != "none":
        raise ConversionError(f'the model takes {dtype}, so it scales the pixels itself; "scaling" must be "none"')
    pixels = tf.cast(images, tf.float32)
    if channels == 1:
        luma = tf.reduce_sum(pixels * tf.constant(_LUMA), -1, keepdims=True)
        pixels = tf.floor((luma + _LUMA_HALF) / _LUMA_ONE)
    return tf.cast(_scaled(pixels, scaling), dtype)


def _scaled(pixels: Any, scaling: str) -> Any:
    if scaling == "none":
        return pixels
    if scaling == "unit":
        return pixels / _WHITE
    return keras.applications.imagenet_utils.preprocess_input(pixels, data_format="channels_last", mode=scaling)
