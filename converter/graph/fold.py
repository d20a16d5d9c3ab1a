"""Batch normalization, merged into the layer before it.

Keras writes BatchNormalization as separate multiplications and additions. With the weights in variables, TensorFlow
leaves them so. What is folded here is exact except for rounding, so it is done only where no other node reads the
tensor between the two layers; ``write.weights`` leaves the rest of it to TensorFlow.
"""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from converter.graph.keras_graph import Graph, Node
from converter.graph.layer_copy import copy_layer

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


class _Bias(keras.Layer):
    """Adds a constant to each channel.

    It is a plain addition, which runtimes fuse with the convolution before it. Keras' own bias is a reshape and an
    addition, and the graph optimiser of TensorFlow 2.20 fails on ``BiasAdd`` with variables.
    """

    def __init__(self, bias: NDArray[Any], name: str) -> None:
        super().__init__(name=name)
        self._bias = self.add_weight(shape=bias.shape, name="bias", trainable=False)
        self._bias.assign(bias)

    def call(self, inputs: Any) -> Any:
        """The sum."""
        return inputs + self._bias


def fold_batch_norms(graph: Graph) -> tuple[Graph, int]:
    """Merge each batch normalization that directly follows a linear convolution or dense layer.

    Returns:
        The new graph, and the number of batch normalizations that were merged.
    """
    replacements: dict[Node, Node] = {}
    folded = 0
    for norm in graph.nodes:
        before = _foldable_before(graph, norm)
        if before is None:
            continue
        layer, bias = _folded(before.operation, norm.operation, before.args[0].shape)
        replacements[before] = Node(layer, before.args, before.kwargs, before.output)
        replacements[norm] = Node(bias, norm.args, {}, norm.output)
        folded += 1
    return graph.replace(replacements), folded


def _foldable_before(graph: Graph, norm: Node) -> Node | None:
    if type(norm.operation) is not keras.layers.BatchNormalization:
        return None
    (tensor,) = norm.args
    before = graph.producer(tensor)
    if before is None:
        return None
    layer = before.operation
    foldable = (
        ((type(layer) in _CONVOLUTIONS and layer.data_format == "channels_last") or type(layer) is keras.layers.Dense)
        and layer.activation is keras.activations.linear
        and norm.operation.axis in (-1, len(tensor.shape) - 1)
        and graph.calls(layer) == 1
        and tensor is not graph.output
        and len(graph.consumers(tensor)) == 1
    )
    return before if foldable else None


def _folded(
    layer: keras.Layer, norm: keras.layers.BatchNormalization, input_shape: tuple[int | None, ...]
) -> tuple[keras.Layer, keras.Layer]:
    """The layer with its kernel scaled and without a bias, and the layer that adds the new bias.

    gamma * (conv(x) + b - mean) / sqrt(variance + epsilon) + beta, computed in float64 and rounded once.
    """
    mean, variance = (
        keras.ops.convert_to_numpy(weight).astype(float) for weight in (norm.moving_mean, norm.moving_variance)
    )
    factor = 1.0 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        factor *= keras.ops.convert_to_numpy(norm.gamma)
    bias = -mean * factor
    *kernels, last = layer.get_weights()
    if layer.use_bias:
        bias += last * factor
        last = kernels.pop()
    if norm.center:
        bias += keras.ops.convert_to_numpy(norm.beta)
    # The depthwise kernel is (height, width, channel, multiplier); its output has the last two as one axis, in order;
    # every other kernel has the output's channel as its last axis.
    depthwise = type(layer) is keras.layers.DepthwiseConv2D
    last = last * (factor.reshape(last.shape[-2:]) if depthwise else factor)
    copy = copy_layer(layer, input_shape, [*kernels, last])
    return copy, _Bias(bias.astype(np.float32), norm.name)
