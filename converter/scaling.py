"""The scaling of pixels 0..255 to what the model expects, moved into its first convolution.

How the scaling is written in the model (a Rescaling or Normalization layer, keras.applications' preprocessing as
operations, a description file's word) does not matter: what lies before the convolution is computed on a few flat
colours, which gives the one linear map it could be, and on noise, which shows whether it is that map.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from converter.layer_copy import copy_layer
from converter.program import Program, Step

_WHITE = 255.0
_SEED = 0


class Scaling(StrEnum):
    """What became of the scaling."""

    MERGED = "merged into the first convolution"
    KEPT = "kept before the first convolution"
    NONE = "none, the model takes pixels 0..255 as they are"


def with_scaling(program: Program, scaling: str) -> Program:
    """The program that takes pixels 0..255 where its model takes them scaled in one of the ``metadata.SCALINGS``."""
    if scaling == "none":
        return program
    pixels = keras.Input(batch_shape=program.input.shape, dtype="float32")
    return Program(pixels, (Step(scaler(scaling), (pixels,), {}, program.input), *program.steps), program.output)


def scaler(scaling: str) -> Callable[[Any], Any]:
    """The function of float32 pixels 0..255, (..., 3), that one of the ``metadata.SCALINGS`` stands for."""
    if scaling == "none":
        return lambda pixels: pixels
    if scaling == "unit":
        return lambda pixels: pixels / _WHITE
    return lambda pixels: keras.applications.imagenet_utils.preprocess_input(
        pixels, data_format="channels_last", mode=scaling
    )


def merge_scaling(program: Program) -> tuple[Program, Scaling]:
    """Merge what lies between the pixels and the first convolution into it, where that is exact.

    It is exact for any linear map of a pixel's colour before a convolution without padding, and for one without an
    offset before a padded one: padding puts zeros, which are not the colour that the offset makes zero.
    """
    first = next((step for step in program.steps if type(step.run) is keras.layers.Conv2D), None)
    if first is None:
        return program, Scaling.KEPT
    layer, source, between = first.run, first.args[0], {first}
    while (before := program.producer(source)) and type(before.run) is keras.layers.ZeroPadding2D:
        source = before.args[0]
        between.add(before)
    if source is program.input:
        return program, Scaling.NONE
    scaling = set(program.ancestors(source))
    alone = all(
        step in scaling | between
        for tensor in (program.input, *(one for step in scaling | between - {first} for one in step.outputs.values()))
        for step in program.consumers(tensor)
    )
    colour_map = _colour_map(program, source)
    if not alone or colour_map is None or program.calls(layer) > 1 or layer.data_format != "channels_last":
        return program, Scaling.KEPT
    matrix, offset = colour_map
    padded = layer.padding != "valid" or len(between) > 1
    if layer.groups > 1 or (padded and offset.any()):
        return program, Scaling.KEPT

    pixels = keras.Input(batch_shape=program.input.shape, dtype="float32")
    merged = Step(_merged(layer, pixels.shape, matrix, offset), first.args, first.kwargs, first.output)
    steps = [merged if step is first else step for step in program.steps if step not in scaling]
    rest = tuple(step.map(lambda value: pixels if value is source else value) for step in steps)
    return Program(pixels, rest, program.output), Scaling.MERGED


def _colour_map(program: Program, tensor: keras.KerasTensor) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The matrix (3, channel) and offset (channel,) if ``tensor`` is ``colour @ matrix + offset`` at every pixel."""
    _, height, width, channels = program.input.shape
    flat = np.zeros((1 + channels, height, width, channels), np.float32)
    for channel in range(channels):
        flat[1 + channel, ..., channel] = _WHITE
    noise = np.random.default_rng(_SEED).integers(0, 256, (1, height, width, channels)).astype(np.float32)
    pixels = np.concatenate([flat, noise])
    (result,) = program.run(keras.ops.convert_to_tensor(pixels, program.input.dtype), tensor)
    values = keras.ops.convert_to_numpy(result).astype(np.float64)
    if values.ndim != 4 or values.shape[:3] != pixels.shape[:3]:
        return None
    offset = values[0, 0, 0]
    matrix = (values[1 : 1 + channels, 0, 0] - offset) / _WHITE
    rounding = 8 * np.finfo(np.float32).eps * np.abs(values).max()
    return (matrix, offset) if np.abs(values - (pixels @ matrix + offset)).max() <= rounding else None


def _merged(
    layer: keras.layers.Conv2D,
    input_shape: tuple[int | None, ...],
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
) -> keras.layers.Conv2D:
    kernel, *bias = layer.get_weights()  # (height, width, channel, filter), (filter,)
    kernel = kernel.astype(np.float64)
    moved = np.einsum("hwcf,c->f", kernel, offset) + (bias[0] if bias else 0.0)
    return copy_layer(layer, input_shape, [np.einsum("hwcf,ic->hwif", kernel, matrix), moved])
