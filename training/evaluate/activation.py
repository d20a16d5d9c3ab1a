"""Class activation maps of a Keras model: where in an image it finds the evidence for each class."""

import keras
import numpy as np
from numpy.typing import NDArray

from converter.graph.keras_head import has_exact_activation_maps


def activation_maps(model: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """The activation map of each class; the mean of a map plus the class's bias is the logit.

    The maps are exact for a head of global average pooling and one dense layer (Zhou et al. 2016).

    Args:
        model: A model that returns logits.
        pixels: uint8 (n, height, width, 3).

    Returns:
        float32 (n, map height, map width, class), or None where the head has a hidden layer.
    """
    if not has_exact_activation_maps(model):
        return None
    *layers, dense = model.layers
    pool = next(layer for layer in reversed(layers) if isinstance(layer, keras.layers.GlobalAveragePooling2D))
    features = keras.Model(model.input, pool.input).predict(pixels, verbose=0)
    return np.einsum("bhwc,ck->bhwk", features.astype(np.float32), dense.get_weights()[0])
