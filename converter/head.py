"""The model's last layers: where its logits are, and whether class activation maps are exact for it."""

from dataclasses import dataclass
from typing import Any

import keras

from converter.errors import ConversionError
from converter.inactive import drop_inactive
from converter.keras_graph import Graph, Node, flatten
from converter.layer_copy import copy_layer


@dataclass(frozen=True)
class Head:
    """The end of a classifier.

    Attributes:
        graph: The model's graph; its output is the logits, (batch, class), whatever the model's own output is.
        gives_logits: Whether the model's own output is the logits, and not probabilities.
        features: What is averaged and then weighted, (batch, h, w, channel); None where maps would not be exact.
        classifier: The dense layer with the weights; None where maps would not be exact.
    """

    graph: Graph
    gives_logits: bool
    features: keras.KerasTensor | None = None
    classifier: keras.layers.Dense | None = None


def has_exact_activation_maps(model: keras.Model) -> bool:
    """Whether class activation maps are exact for a Keras model; see ``find_head``.

    Raises:
        ConversionError: The model's layers or its end are not of a kind that can be converted.
    """
    _, height, width, _ = model.input_shape
    return find_head(drop_inactive(flatten(model, height, width))).features is not None


def find_head(graph: Graph) -> Head:
    """Split off the softmax, and look for global average pooling followed by one dense layer.

    With that head the map of a class is the sum of the features, weighted with the kernel's column of that class. The
    mean of the map plus the bias is exactly the logit (Zhou et al. 2016, https://arxiv.org/abs/1512.04150).

    Args:
        graph: A model's graph without inactive layers.

    Raises:
        ConversionError: The model ends in neither a softmax nor a layer without activation.
    """
    node, output = _producer(graph, graph.output)
    activation = _activation(node)
    if activation not in ("softmax", "linear"):
        raise ConversionError(
            f"the model ends in {node.operation.name} ({activation or type(node.operation).__name__}); "
            "it must end in a softmax over the classes, or in a Dense layer without activation"
        )
    if activation == "softmax" and type(node.operation) is keras.layers.Dense:
        weights = node.operation.get_weights()
        linear = copy_layer(node.operation, node.args[0].shape, weights, activation="linear")
        logits = Node(linear, node.args, node.kwargs, output)
        graph = graph.replace({node: logits})
    elif activation == "softmax":
        logits, output = _producer(graph, node.args[0])
    else:
        logits = node
    graph = Graph(graph.input, tuple(graph.ancestors(output)), output)
    pooling = graph.producer(logits.args[0])
    if pooling and _is_plain_classifier(logits.operation) and _is_global_average(pooling.operation):
        return Head(graph, activation == "linear", features=pooling.args[0], classifier=logits.operation)
    return Head(graph, activation == "linear")


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
    if type(node.operation).__name__ == "Softmax":  # the layer, or keras.ops.softmax
        return "softmax"
    activation = getattr(node.operation, "activation", None)
    return getattr(activation, "__name__", None)
