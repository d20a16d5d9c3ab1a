"""Batch normalization merged into the layer before it, and layers that do nothing when predicting removed.

Keras writes BatchNormalization as separate multiplications and additions; folded, it costs nothing. The result is
exact but for rounding, so it is done only where nothing else can see the tensor between the two layers.
"""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from converter.layer_copy import copy_layer
from converter.program import Program, Step

# Layers that hand their input on when predicting.
_INACTIVE = (
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.RandomBrightness,
    keras.layers.RandomContrast,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.SpatialDropout2D,
)
_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


class _Bias(keras.Layer):
    """Adds a constant to each channel.

    A plain addition, which runtimes fuse with the convolution before it. Keras' own bias is a reshape and an addition,
    and over ``BiasAdd`` on variables the graph optimiser of TensorFlow 2.20 gives up.
    """

    def __init__(self, bias: NDArray[Any], name: str) -> None:
        super().__init__(name=name)
        self._bias = self.add_weight(shape=bias.shape, name="bias", trainable=False)
        self._bias.assign(bias)

    def call(self, inputs: Any) -> Any:
        """The sum."""
        return inputs + self._bias


def drop_inactive(program: Program) -> Program:
    """The program without dropout, noise and augmentation."""
    while step := next((step for step in program.steps if type(step.run) in _INACTIVE), None):
        program = program.bypass(step)
    return program


def fold_batch_norms(program: Program) -> tuple[Program, int]:
    """Merge each batch normalization that directly follows a linear convolution or dense layer; how many there were."""
    replacements: dict[Step, tuple[Step, ...]] = {}
    folded = 0
    for norm in program.steps:
        before = _foldable_before(program, norm)
        if before is None:
            continue
        layer, bias = _folded(before.run, norm.run, before.args[0].shape)
        replacements[before] = (Step(layer, before.args, before.kwargs, before.output),)
        replacements[norm] = (Step(bias, norm.args, {}, norm.output),)
        folded += 1
    return program.replace(replacements), folded


def _foldable_before(program: Program, norm: Step) -> Step | None:
    if type(norm.run) is not keras.layers.BatchNormalization:
        return None
    (tensor,) = norm.args
    before = program.producer(tensor)
    if before is None:
        return None
    layer = before.run
    foldable = (
        ((type(layer) in _CONVOLUTIONS and layer.data_format == "channels_last") or type(layer) is keras.layers.Dense)
        and layer.activation is keras.activations.linear
        and norm.run.axis in (-1, len(tensor.shape) - 1)
        and program.calls(layer) == 1
        and tensor is not program.output
        and len(program.consumers(tensor)) == 1
    )
    return before if foldable else None


def _folded(
    layer: keras.Layer, norm: keras.layers.BatchNormalization, input_shape: tuple[int | None, ...]
) -> tuple[keras.Layer, keras.Layer]:
    """The layer with its kernel scaled and without a bias, and the layer that adds the new one.

    gamma * (conv(x) + b - mean) / sqrt(variance + epsilon) + beta, computed in float64 and rounded once.
    """
    mean, variance = (keras.ops.convert_to_numpy(one).astype(float) for one in (norm.moving_mean, norm.moving_variance))
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
    # The depthwise kernel is (height, width, channel, multiplier) and its output has them as one axis, in that order;
    # every other kernel has the output's channel as its last axis.
    depthwise = type(layer) is keras.layers.DepthwiseConv2D
    last = last * (factor.reshape(last.shape[-2:]) if depthwise else factor)
    copy = copy_layer(layer, input_shape, [*kernels, last])
    return copy, _Bias(bias.astype(np.float32), norm.name)
