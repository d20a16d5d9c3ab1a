"""Finds the outputs of a SavedModel that need no engine: constants, and constants that are repeated for each row.

A model's description of itself is such an output, and OpenVINO cannot compile the strings that it is made of.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portable_model_server.engines.base import InvalidInputError
from portable_model_server.engines.saved_model import Signature
from serving_api.messages import FunctionDef, MetaGraphDef, NodeDef
from serving_api.tensors import TensorError, to_array

_FUNCTION_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_MAX_STEPS = 100  # from a tensor to where it comes from; a damaged graph may contain a circle
# A request of empty strings could ask for an output a thousand times its size.
_MAX_REPEATED_BYTES = 64 << 20


@dataclass(frozen=True)
class ConstantOutput:
    """An output whose value is a constant of the graph.

    Attributes:
        value: The constant.
        shape_of: The alias of an input whose shape the output has, with the constant, a scalar, as each element; None
            if the output is the constant as it is.
    """

    value: NDArray[Any]
    shape_of: str | None = None

    def array(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """The output for inputs of any shape, as an array that the caller owns.

        Raises:
            InvalidInputError: It would be too large.
        """
        if self.shape_of is None:
            return self.value.copy()
        shape = inputs[self.shape_of].shape
        scalar = self.value.item()
        size = len(scalar) if isinstance(scalar, bytes) else self.value.itemsize
        if int(np.prod(shape)) * size > _MAX_REPEATED_BYTES:
            raise InvalidInputError(
                f"the outputs would take more than {_MAX_REPEATED_BYTES >> 20} MiB: send fewer rows"
            )
        return np.broadcast_to(self.value, shape).copy()

    def replaced(self, old: bytes, new: bytes) -> "ConstantOutput":
        """The same output with another text, if its value is the old one."""
        if self.value.ndim or self.value.item() != old:
            return self
        return ConstantOutput(np.array(new, dtype=object), self.shape_of)


def constant_outputs(meta_graph: MetaGraphDef, signature: Signature) -> dict[str, ConstantOutput]:
    """Return the outputs of a signature, by alias, whose values are constants of the graph."""
    reader = _Reader(meta_graph)
    inputs = {info.name.removesuffix(":0"): alias for alias, info in signature.inputs.items()}
    outputs = {alias: reader.constant(info.name, inputs) for alias, info in signature.outputs.items()}
    return {alias: output for alias, output in outputs.items() if output is not None}


@dataclass(frozen=True)
class _Scope:
    """The graph, or the body of a function that it calls.

    Attributes:
        nodes: The nodes by name.
        arguments: What each argument of the function is: a tensor of the scope that calls it, and this scope.
    """

    nodes: Mapping[str, NodeDef]
    arguments: Mapping[str, "tuple[str, _Scope]"]


class _Reader:
    def __init__(self, meta_graph: MetaGraphDef) -> None:
        self._graph = _Scope({node.name: node for node in meta_graph.graph_def.node}, {})
        self._functions = {function.signature.name: function for function in meta_graph.graph_def.library.function}

    def constant(self, tensor: str, inputs: Mapping[str, str]) -> ConstantOutput | None:
        """The constant behind a tensor of the graph; None if anything is computed.

        Args:
            tensor: The tensor's name.
            inputs: The aliases of the signature's inputs by their nodes' names.
        """
        node, scope = self._origin(tensor, self._graph)
        if (constant := _value(node)) is not None:
            return ConstantOutput(constant)
        if node.op != "Fill" or len(node.input) < 2:
            return None
        shape, shape_scope = self._origin(node.input[0], scope)
        filling, _ = self._origin(node.input[1], scope)
        if shape.op != "Shape" or not shape.input:
            return None
        source, source_scope = self._origin(shape.input[0], shape_scope)
        value = _value(filling)
        if source_scope is not self._graph or source.name not in inputs or value is None or value.ndim:
            return None
        return ConstantOutput(value, shape_of=inputs[source.name])

    def _origin(self, tensor: str, scope: _Scope) -> tuple[NodeDef, _Scope]:
        """Follow a tensor through identities, calls of functions and their arguments to the node that makes it.

        Returns:
            The node and its scope; an empty node if it is not to be found.
        """
        for _ in range(_MAX_STEPS):
            # "node", "node:1", or "node:output:1" in a function
            name, *_rest, index = tensor.split(":") if ":" in tensor else (tensor, "0")
            if name in scope.arguments:
                tensor, scope = scope.arguments[name]
                continue
            node = scope.nodes.get(name, NodeDef())
            if node.op == "Identity" and node.input:
                tensor = node.input[0]
            elif node.op in _FUNCTION_CALLS and node.attr["f"].func.name in self._functions:
                function = self._functions[node.attr["f"].func.name]
                scope = _Scope({inner.name: inner for inner in function.node_def}, _arguments(function, node, scope))
                tensor = function.ret[function.signature.output_arg[int(index)].name]
            else:
                return node, scope
        return NodeDef(), scope


def _arguments(function: FunctionDef, call: NodeDef, scope: _Scope) -> dict[str, tuple[str, _Scope]]:
    names = [argument.name for argument in function.signature.input_arg]
    return {name: (tensor, scope) for name, tensor in zip(names, call.input, strict=False)}


def _value(node: NodeDef) -> NDArray[Any] | None:
    """What a constant holds; None if the node is none, or is damaged."""
    if node.op != "Const":
        return None
    try:
        return to_array(node.attr["value"].tensor)
    except TensorError:
        return None
