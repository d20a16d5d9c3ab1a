"""A layer built again with other weights, so that the model it came from stays as it is."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


def copy_layer(
    layer: keras.Layer, input_shape: tuple[int | None, ...], weights: list[NDArray[Any]], **changes: Any
) -> keras.Layer:
    """A convolution or dense layer like ``layer``, with other weights.

    Args:
        layer: The layer to copy; the copy has its name, too.
        input_shape: The shape of the tensor that the copy reads.
        weights: In Keras' order, the kernels and then perhaps the bias; any float dtype, kept as float32.
        changes: Changes to the layer's configuration.
    """
    kernels = sum(not weight.path.endswith("/bias") for weight in layer.weights)
    copy = type(layer).from_config(layer.get_config() | {"use_bias": len(weights) > kernels} | changes)
    copy.build(input_shape)
    copy.set_weights([np.asarray(weight, np.float32) for weight in weights])
    return copy
