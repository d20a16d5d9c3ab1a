"""A Keras model as one flat graph of nodes, nested models included, so that it can be rewritten node by node.

Keras rewrites a model only layer by layer (``clone_model``), which shows neither the other readers of a tensor nor what
is inside a Sequential. Folding and the search for the head need both.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras

from converter.errors import ConversionError

# A layer's name becomes part of its nodes' names; source: tensorflow/python/framework/ops.py, _VALID_SCOPE_NAME_REGEX.
_NODE_NAME = re.compile(r"[A-Za-z0-9_.\\/>-]+")


@dataclass(frozen=True, eq=False)
class Node:
    """One call of an operation. Two nodes are equal only if they are the same object.

    Attributes:
        operation: A Keras layer or operation, or a function.
        args: The positional arguments; tensors among them are symbolic Keras tensors, compared by identity.
        kwargs: The keyword arguments.
        output: What the call returned: a symbolic tensor, or a structure of them.
    """

    operation: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: Any

    @cached_property
    def inputs(self) -> dict[int, keras.KerasTensor]:
        """The tensors that the node reads, by identity."""
        return _tensors((self.args, dict(self.kwargs)))

    @cached_property
    def outputs(self) -> dict[int, keras.KerasTensor]:
        """The tensors that the node makes, by identity."""
        return _tensors(self.output)

    def map_arguments(self, change: Callable[[Any], Any]) -> "Node":
        """The same node with ``change`` applied to each value in its arguments."""
        args, kwargs = keras.tree.map_structure(change, (self.args, dict(self.kwargs)))
        return Node(self.operation, args, kwargs, self.output)


@dataclass(frozen=True)
class Graph:
    """The nodes between one input tensor and one output tensor.

    Attributes:
        input: The images, (batch, height, width, channels).
        nodes: In the order in which they can be computed.
        output: One number for each output, (batch, output).
    """

    input: keras.KerasTensor
    nodes: tuple[Node, ...]
    output: keras.KerasTensor

    def producer(self, tensor: keras.KerasTensor) -> Node | None:
        """The node that makes a tensor; None for the graph's input."""
        return next((node for node in self.nodes if id(tensor) in node.outputs), None)

    def consumers(self, tensor: keras.KerasTensor) -> list[Node]:
        """The nodes that read a tensor."""
        return [node for node in self.nodes if id(tensor) in node.inputs]

    def calls(self, operation: Any) -> int:
        """How often an operation is called: a shared layer is called more than once."""
        return sum(node.operation is operation for node in self.nodes)

    def ancestors(self, *tensors: keras.KerasTensor) -> list[Node]:
        """The nodes that tensors depend on, in order."""
        needed, ancestors = {id(tensor) for tensor in tensors}, []
        for node in reversed(self.nodes):
            if not needed.isdisjoint(node.outputs):
                needed.update(node.inputs)
                ancestors.append(node)
        return ancestors[::-1]

    def replace(self, replacements: Mapping[Node, Node]) -> "Graph":
        """The same graph with some nodes replaced by others."""
        return Graph(self.input, tuple(replacements.get(node, node) for node in self.nodes), self.output)

    def bypass(self, node: Node) -> "Graph":
        """The same graph without a node that returns its first argument unchanged: its readers read that."""
        argument = node.args[0]

        def swap(value: Any) -> Any:
            return argument if value is node.output else value

        nodes = tuple(
            other.map_arguments(swap) if id(node.output) in other.inputs else other
            for other in self.nodes
            if other is not node
        )
        return Graph(self.input, nodes, swap(self.output))

    def run(self, pixels: Any, *tensors: keras.KerasTensor) -> list[Any]:
        """Compute the values of tensors of this graph.

        Args:
            pixels: The value of the graph's input: an array, or a TensorFlow tensor in a function that is traced.
            tensors: The symbolic tensors to compute.
        """
        values = {id(self.input): pixels}

        def value(part: Any) -> Any:
            return values[id(part)] if isinstance(part, keras.KerasTensor) else part

        for node in self.ancestors(*tensors):
            concrete = node.map_arguments(value)
            results = keras.tree.flatten(concrete.operation(*concrete.args, **concrete.kwargs))
            values.update(zip(node.outputs, results, strict=True))
        return [values[id(tensor)] for tensor in tensors]


def flatten(model: keras.Model, height: int | None, width: int | None, output: int = 0) -> Graph:
    """The graph of a Functional or Sequential model with one input. It takes any number of images at once.

    Args:
        model: Its layers are called anew, and become part of the graph.
        height: Height of the images, in pixels; None where the graph is not computed for one size.
        width: Width of the images, in pixels, likewise.
        output: Which of the model's outputs is the graph's.

    Raises:
        ConversionError: The model, or one inside it, is subclassed, or TensorFlow does not allow a layer's name.
    """
    nodes: list[Node] = []

    def record(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(operation, keras.Sequential):
            (value,) = args
            for layer in operation.layers:
                value = record(layer, value)
            return value
        if isinstance(operation, keras.Function):
            # The one private call: Keras' public ways into a nested model rebuild it and lose the connection.
            return operation._run_through_graph(args, call_fn=record)
        if isinstance(operation, keras.Model):
            raise ConversionError(
                f"{operation.name} is a subclassed model; build it from layers (keras.Model(in, out))"
            )
        if isinstance(operation, keras.Layer) and "training" in inspect.signature(operation.call).parameters:
            kwargs["training"] = False  # as in Keras' predict, whatever the layer was called with
        if not _NODE_NAME.fullmatch(operation.name):
            raise ConversionError(
                f"layer {operation.name!r}: in a name TensorFlow takes letters, digits, '_', '.', '-'"
            )
        result = operation(*args, **kwargs)
        nodes.append(Node(operation, args, kwargs, result))
        return result

    (model_input,) = model.inputs
    pixels = keras.Input((height, width, model_input.shape[-1]), dtype=model_input.dtype)
    outputs = keras.tree.flatten(record(model, pixels))
    graph = Graph(pixels, tuple(nodes), outputs[output])
    return Graph(pixels, tuple(graph.ancestors(graph.output)), graph.output)


def _tensors(structure: Any) -> dict[int, keras.KerasTensor]:
    return {id(part): part for part in keras.tree.flatten(structure) if isinstance(part, keras.KerasTensor)}
