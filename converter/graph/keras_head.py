"""The end of a Keras 3 model: it is split off as logits, and where activation maps are exact, they are found."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from converter.errors import ConversionError
from converter.graph.fold import fold_batch_norms
from converter.graph.head import Head, Output, are_probabilities, unknown_end
from converter.graph.inactive import drop_inactive
from converter.graph.keras_graph import Graph, Node, flatten
from converter.graph.layer_copy import copy_layer

_PROBES = 4  # images that show whether an end without a named activation gives probabilities
_PROBE_SIDE = 64  # pixels, where the model takes images of any size
_NO_SCALING = (
    keras.layers.BatchNormalization,
    keras.layers.CenterCrop,
    keras.layers.Concatenate,
    keras.layers.Cropping2D,
    keras.layers.Flatten,
    keras.layers.MaxPooling2D,
    keras.layers.Permute,
    keras.layers.Reshape,
    keras.layers.Resizing,
    keras.layers.ZeroPadding2D,
)


@dataclass(frozen=True)
class KerasHead(Head):
    """The end of a Keras 3 model.

    Attributes:
        graph: The model's graph; its output is the logits, (batch, output), or the probabilities where there are none.
        output: What the model's own output is.
        features: What is averaged and then weighted, (batch, h, w, channel); None where maps would not be exact.
        classifier: The dense layer with the weights; None where maps would not be exact.
    """

    graph: Graph
    output: Output
    features: keras.KerasTensor | None = None
    classifier: keras.layers.Dense | None = None

    @property
    def channels(self) -> int:  # type: ignore[override]
        """Channels of the images."""
        return int(self.graph.input.shape[-1])

    @property
    def dtype(self) -> str:  # type: ignore[override]
        """The dtype of the images."""
        return str(self.graph.input.dtype)

    @property
    def explains(self) -> bool:
        """Whether class activation maps are exact."""
        return self.features is not None

    @property
    def weights(self) -> list[keras.Variable]:
        """The weights of the graph's layers, each of them once."""
        layers = (node.operation for node in self.graph.nodes if isinstance(node.operation, keras.Layer))
        return list({id(weight): weight for layer in layers for weight in layer.weights}.values())

    @property
    def scales(self) -> bool | None:
        """Whether anything changes the pixels' values before the first layer with a kernel; None without such a layer.

        Padding, cropping, pooling and a change of shape leave them as they are, and batch normalization takes any.
        """
        first = next((node for node in self.graph.nodes if _has_kernel(node.operation)), None)
        if first is None:
            return None
        before = self.graph.ancestors(*first.inputs.values())
        return not all(isinstance(node.operation, _NO_SCALING) for node in before)

    def folded(self) -> tuple["KerasHead", int]:
        """The same head with batch normalizations merged into the layers before them, and the number of them."""
        graph, count = fold_batch_norms(self.graph)
        return dataclasses.replace(self, graph=graph), count

    def _run(self, pixels: Any) -> tuple[Any, Any | None]:
        if self.features is None or self.classifier is None:
            return self.graph.run(pixels, self.graph.output)[0], None
        logits, features = self.graph.run(pixels, self.graph.output, self.features)
        kernel = self.classifier.kernel
        return logits, tf.nn.conv2d(features, tf.reshape(kernel, (1, 1, *kernel.shape)), 1, "VALID")

    @property
    def _bias(self) -> NDArray[np.float32]:
        classifier = self.classifier
        if classifier is None or not classifier.use_bias:
            return np.zeros(self.graph.output.shape[-1], np.float32)
        return np.asarray(keras.ops.convert_to_numpy(classifier.bias), np.float32)


def has_exact_activation_maps(model: keras.Model) -> bool:
    """Whether class activation maps are exact for a Keras model; see ``find_head``.

    Raises:
        ConversionError: The model's layers or its end are not of a kind that can be converted.
    """
    _, height, width, _ = model.input_shape
    return find_head(drop_inactive(flatten(model, height, width))).explains


def find_head(graph: Graph) -> KerasHead:
    """Split off the softmax or sigmoid, and look for global average pooling followed by one dense layer.

    With that head the map of a class is the sum of the features, weighted with the kernel's column of that class. The
    mean of the map plus the bias is exactly the logit (Zhou et al. 2016, https://arxiv.org/abs/1512.04150).

    Args:
        graph: A model's graph without inactive layers.

    Raises:
        ConversionError: The model's output is of none of the kinds that ``Output`` lists.
    """
    node, tensor = _producer(graph, graph.output)
    output = _kind(graph, node)
    if output is Output.PROBABILITIES:
        return KerasHead(graph, output)
    if output is Output.LOGITS:
        logits = node
    elif type(node.operation) is keras.layers.Dense:
        weights = node.operation.get_weights()
        linear = copy_layer(node.operation, node.args[0].shape, weights, activation="linear")
        logits = Node(linear, node.args, node.kwargs, tensor)
        graph = graph.replace({node: logits})
    else:
        logits, tensor = _producer(graph, node.args[0])
    graph = Graph(graph.input, tuple(graph.ancestors(tensor)), tensor)
    pooling = graph.producer(logits.args[0])
    if pooling and _is_plain_classifier(logits.operation) and _is_global_average(pooling.operation):
        return KerasHead(graph, output, features=pooling.args[0], classifier=logits.operation)
    return KerasHead(graph, output)


def _kind(graph: Graph, node: Node) -> Output:
    """What the output that a node makes is."""
    activation = _activation(node)
    if activation == "softmax":
        return Output.SOFTMAX
    if activation == "sigmoid" and graph.output.shape[-1] == 1:
        return Output.SIGMOID
    if activation == "linear":
        return Output.LOGITS
    if activation is None and are_probabilities(_probe(graph)):
        return Output.PROBABILITIES
    raise unknown_end(f"{node.operation.name} ({activation or type(node.operation).__name__})")


def _probe(graph: Graph) -> NDArray[np.float64]:
    """The graph's outputs for a few images of noise."""
    _, height, width, channels = graph.input.shape
    shape = (_PROBES, height or _PROBE_SIDE, width or _PROBE_SIDE, channels)
    pixels = np.random.default_rng(0).uniform(0, 255, shape)
    (outputs,) = graph.run(tf.cast(pixels, graph.input.dtype), graph.output)
    return np.asarray(outputs, np.float64)


def _has_kernel(operation: Any) -> bool:
    weights = operation.weights if isinstance(operation, keras.Layer) else ()
    return any(weight.path.rsplit("/", 1)[-1].endswith("kernel") for weight in weights)


def _is_plain_classifier(operation: Any) -> bool:
    return type(operation) is keras.layers.Dense and operation.activation is keras.activations.linear


def _is_global_average(operation: Any) -> bool:
    return (
        type(operation) is keras.layers.GlobalAveragePooling2D
        and operation.data_format == "channels_last"
        and not operation.keepdims
    )


def _producer(graph: Graph, tensor: keras.KerasTensor) -> tuple[Node, keras.KerasTensor]:
    """The node that makes a tensor, and the tensor; a linear Activation in between is passed over."""
    node = graph.producer(tensor)
    if node is None:
        raise ConversionError("the model has no layers")
    if type(node.operation) is keras.layers.Activation and node.operation.activation is keras.activations.linear:
        return _producer(graph, node.args[0])
    return node, tensor


def _activation(node: Node) -> str | None:
    """The name of the activation that a node ends in; None where it has none to name."""
    operation = node.operation
    if type(operation).__name__ in ("Softmax", "Sigmoid"):  # the layer, or the function of keras.ops
        return type(operation).__name__.lower()
    activation = getattr(operation, "activation", None)
    return getattr(activation, "__name__", None)
