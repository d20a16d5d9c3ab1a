"""Where a network looked: class activation maps, exact for pooling and one dense layer (Zhou et al. 2016)."""

import keras
import numpy as np
from numpy.typing import NDArray


def activation_maps(model: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Each class's map, float32 (n, map height, map width, class): its mean and the bias make the logit.

    None where the head has a hidden layer.

    Args:
        pixels: uint8 (n, height, width, 3).
    """
    pool, *between, dense = model.layers[-3:]
    exact = isinstance(pool, keras.layers.GlobalAveragePooling2D) and isinstance(dense, keras.layers.Dense)
    if not exact or not all(isinstance(layer, keras.layers.Dropout) for layer in between):
        return None
    features = keras.Model(model.input, pool.input).predict(pixels, verbose=0)
    return np.einsum("bhwc,ck->bhwk", features.astype(np.float32), dense.get_weights()[0])
