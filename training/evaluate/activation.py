"""Class activation maps of a Keras model: where in an image it finds the evidence for each class."""

import keras
import numpy as np
from numpy.typing import NDArray


def activation_maps(model: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """The activation map of each class; the mean of a map plus the class's bias is the logit.

    The maps are exact for a head of global average pooling and one dense layer (Zhou et al. 2016).

    Args:
        model: A model that returns logits.
        pixels: uint8 (n, height, width, 3).

    Returns:
        float32 (n, map height, map width, class), or None where the head has a hidden layer.
    """
    pool, *between, dense = model.layers[-3:]
    exact = isinstance(pool, keras.layers.GlobalAveragePooling2D) and isinstance(dense, keras.layers.Dense)
    if not exact or not all(isinstance(layer, keras.layers.Dropout) for layer in between):
        return None
    features = keras.Model(model.input, pool.input).predict(pixels, verbose=0)
    return np.einsum("bhwc,ck->bhwk", features.astype(np.float32), dense.get_weights()[0])
