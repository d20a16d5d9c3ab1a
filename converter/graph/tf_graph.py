"""The end of a TensorFlow graph that no longer knows its layers: of a SavedModel, or of a Keras 2 model.

What the layers were is read off the operations: a softmax, the dense layer before it, the average over both image axes.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from converter.errors import ConversionError, one_line
from converter.graph.head import Head, Output, are_probabilities, unknown_end
from converter.graph.tf_batch import for_any_batch
from converter.graph.tf_names import node_of
from converter.graph.tf_tensors import import_graph, is_constant, name_of, source_of, value_of

_V1 = tf.compat.v1
_ADDITIONS = ("BiasAdd", "Add", "AddV2")
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")
# As keras_head: what leaves the pixels' values as they are, or normalises any.
_NO_SCALING = (
    *("Pad", "PadV2", "MirrorPad", "MaxPool", "MaxPoolV2", "Reshape", "Transpose", "StridedSlice", "Slice"),
    *("ResizeBilinear", "ResizeNearestNeighbor", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"),
)
_PROBES = 4  # images that show whether the graph takes any number of them, and whether it gives probabilities
_IMAGE_AXES = {1, 2}  # of (batch, height, width, channel)


@dataclass(frozen=True, eq=False)
class GraphHead(Head):
    """The end of a frozen graph; each name is that of a tensor.

    Attributes:
        graph_def: The graph, which takes any number of images.
        image: The placeholder of the images.
        height: Height of the images, in pixels.
        width: Width of the images, in pixels.
        logits: The logits, or the probabilities where there are none.
        output: What the model's own output is.
        channels: Channels of the images.
        dtype: The dtype of the images.
        scales: Whether anything changes the pixels' values before the first convolution; None where there is none.
        features: What is averaged and then weighted, (batch, h, w, channel); None where maps would not be exact.
        kernel: The weights, (channel, output); None likewise.
        bias_of_maps: What the maps' means lack of the logits, (output,); None likewise.
    """

    graph_def: Any = field(repr=False)
    image: str
    height: int
    width: int
    logits: str
    output: Output
    channels: int
    dtype: str
    scales: bool | None = None
    features: str | None = None
    kernel: str | None = None
    bias_of_maps: NDArray[np.float32] | None = None

    @property
    def explains(self) -> bool:
        """Whether class activation maps are exact."""
        return self.features is not None

    @property
    def weights(self) -> list[keras.Variable]:
        """None: the weights are constants of the graph."""
        return []

    def folded(self) -> tuple["GraphHead", int]:
        """The head itself: the engines merge batch normalizations when they load the graph."""
        return self, 0

    def _run(self, pixels: Any) -> tuple[Any, Any | None]:
        return self._compute(pixels) if tf.executing_eagerly() else self._imported(pixels)

    @cached_property
    def _compute(self) -> Any:
        pixels = tf.TensorSpec((None, self.height, self.width, self.channels), self.dtype)
        return tf.function(self._imported, input_signature=[pixels], autograph=False).get_concrete_function()

    def _imported(self, pixels: Any) -> tuple[Any, Any | None]:
        names = [name for name in (self.logits, self.features, self.kernel) if name is not None]
        logits, *maps = import_graph(self.graph_def, self.image, pixels, names)
        logits = tf.cast(tf.reshape(logits, (-1, logits.shape[-1])) if logits.shape.rank > 2 else logits, tf.float32)
        if not maps:
            return logits, None
        features, kernel = maps
        maps_of_outputs = tf.nn.conv2d(features, tf.reshape(kernel, (1, 1, *kernel.shape)), 1, "VALID")
        return logits, tf.cast(maps_of_outputs, tf.float32)

    @property
    def _bias(self) -> NDArray[np.float32]:
        return np.zeros(0, np.float32) if self.bias_of_maps is None else self.bias_of_maps


def find_head(graph_def: Any, image: str, output: str, height: int, width: int) -> GraphHead:
    """Find what the output is, and global average pooling followed by one dense layer; see ``keras_head.find_head``.

    Args:
        graph_def: A graph as ``tf_freeze.plain`` leaves it.
        image: The name of the placeholder's tensor, (batch, height, width, channels).
        output: The name of the output's tensor, (batch, output).
        height: Height of the images, in pixels.
        width: Width of the images, in pixels.

    Raises:
        ConversionError: The output is of none of the kinds that ``Output`` lists, or the graph needs another size or
            number of images.
    """
    placeholder = next((node for node in graph_def.node if node.name == node_of(image)), None)
    if placeholder is None:
        raise ConversionError("the model's output does not depend on the image")
    dtype = tf.as_dtype(placeholder.attr["dtype"].type)
    batch, _, _, channels = (dim.size for dim in placeholder.attr["shape"].shape.dim)
    if batch > 0:
        graph_def = for_any_batch(graph_def, image, batch, (height, width, channels))
    with tf.Graph().as_default() as graph:
        pixels = _V1.placeholder(dtype, (None, height, width, channels))
        try:
            (end,) = import_graph(graph_def, image, pixels, [output])
            sample = _probe(end, pixels, batch)
        except (ValueError, tf.errors.OpError) as error:
            raise ConversionError(_cannot_compute(error, batch, height, width)) from None
        kind, logits = _kind(end, sample)
        maps = _maps(logits) if kind is not Output.PROBABILITIES else {}
        return GraphHead(
            graph_def,
            image,
            height,
            width,
            name_of(logits),
            kind,
            channels,
            dtype.name,
            scales=_scales(graph, pixels),
            **maps,
        )


def _probe(end: Any, pixels: Any, batch: int) -> NDArray[np.float64]:
    """The graph's outputs for a few images of noise: another number of them than a fixed batch has."""
    count = _PROBES if batch != _PROBES else _PROBES + 1
    noise = np.random.default_rng(0).uniform(0, 255, (count, *pixels.shape[1:]))
    with _V1.Session(graph=pixels.graph) as session:
        outputs = np.asarray(session.run(end, {pixels: noise.astype(pixels.dtype.as_numpy_dtype)}), np.float64)
    if outputs.ndim != 2 or len(outputs) != count:
        raise ValueError(f"it gives {outputs.shape} for {count} images")
    return outputs


def _cannot_compute(error: Exception, batch: int, height: int, width: int) -> str:
    if batch > 0:
        return f"the graph depends on its batch size of {batch}; save the model with a batch size of None"
    return f"the model cannot be computed for images of {height} x {width} pixels: {one_line(error)}"


def _kind(end: Any, sample: NDArray[np.float64]) -> tuple[Output, Any]:
    """What the output is, and the tensor of the logits, or of the probabilities where there are none."""
    tensor = source_of(end)
    operation = tensor.op
    if operation.type == "Softmax":
        return Output.SOFTMAX, operation.inputs[0]
    if operation.type == "Sigmoid" and sample.shape[-1] == 1:
        return Output.SIGMOID, operation.inputs[0]
    if operation.type == "LogSoftmax":  # its exponential is the softmax, and so is that of its input
        return Output.LOGITS, operation.inputs[0]
    if _is_linear(tensor):
        return Output.LOGITS, tensor
    if are_probabilities(sample):
        return Output.PROBABILITIES, end
    raise unknown_end(f"{name_of(operation)} ({operation.type})")


def _is_linear(tensor: Any) -> bool:
    """Whether a tensor is a sum of products with weights."""
    operation = tensor.op
    if operation.type in _ADDITIONS:
        computed = [part for part in operation.inputs if not is_constant(part)]
        return len(computed) == 1 and _is_linear(source_of(computed[0]))
    return operation.type in ("MatMul", "Conv2D")


def _maps(logits: Any) -> dict[str, Any]:
    """What activation maps are made of, as fields of the head; none where maps would not be exact."""
    product, bias = source_of(logits, casts=False), np.zeros(1)
    if product.op.type in _ADDITIONS:
        first, second = sorted(product.op.inputs, key=is_constant)
        if not is_constant(second):
            return {}
        product, bias = source_of(first, casts=False), value_of(second)
    operation = product.op
    if operation.type != "MatMul" or operation.get_attr("transpose_a") or operation.get_attr("transpose_b"):
        return {}
    pooled, kernel = operation.inputs
    average = source_of(pooled, casts=False).op
    if average.type != "Mean" or average.get_attr("keep_dims") or not is_constant(kernel):
        return {}
    features, axes = average.inputs
    if features.shape.rank != 4 or not is_constant(axes) or bias.size not in (1, kernel.shape[-1]):
        return {}
    if {int(axis) % 4 for axis in value_of(axes).flat} != _IMAGE_AXES:
        return {}
    bias = np.broadcast_to(bias.reshape(-1), kernel.shape[-1:]).astype(np.float32)
    return {"features": name_of(features), "kernel": name_of(kernel), "bias_of_maps": bias}


def _scales(graph: Any, pixels: Any) -> bool | None:
    """Whether anything changes the pixels' values before the first convolution; None where there is none."""
    first = next((operation for operation in graph.get_operations() if operation.type in _CONVOLUTIONS), None)
    if first is None:
        return None
    tensor = source_of(first.inputs[0])
    while tensor.op.type in _NO_SCALING:
        tensor = source_of(tensor.op.inputs[0])
    return tensor is not pixels
