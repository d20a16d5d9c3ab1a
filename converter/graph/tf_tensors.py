"""A frozen TensorFlow graph, imported, and questions about its tensors."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from converter.graph.tf_names import node_of

_V1 = tf.compat.v1
_COPIES = ("Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape", "GuaranteeConst")
_SCOPE = "graph"  # of the imported nodes, whose names may be those of the served graph


def import_graph(graph_def: Any, image: str, pixels: Any, names: list[str]) -> list[Any]:
    """Put a graph into the default graph, without the placeholder; the tensors of these names."""
    nodes = [node for node in graph_def.node if node.name != node_of(image)]
    kept = type(graph_def)(node=nodes, versions=graph_def.versions)
    tensors: list[Any] = tf.import_graph_def(kept, input_map={image: pixels}, return_elements=names, name=_SCOPE)
    return tensors


def name_of(tensor: Any) -> str:
    """The name that a tensor has in the graph that was imported."""
    return str(tensor.name).removeprefix(f"{_SCOPE}/")


def source_of(tensor: Any, *, casts: bool = True) -> Any:
    """The tensor that a tensor is a copy of: as it is, with another precision, or without axes of length 1."""
    while True:
        operation = tensor.op
        if operation.type in _COPIES:
            tensor = operation.inputs[tensor.value_index]
        elif (operation.type == "Cast" and casts and _is_cast_between_floats(operation)) or _only_drops_axes(operation):
            tensor = operation.inputs[0]
        else:
            return tensor


def _is_cast_between_floats(operation: Any) -> bool:
    return bool(operation.inputs[0].dtype.is_floating and operation.outputs[0].dtype.is_floating)


def _only_drops_axes(operation: Any) -> bool:
    """Whether an operation makes (batch, output) from the same or from (batch, 1, 1, output)."""
    if operation.type not in ("Reshape", "Squeeze"):
        return False
    before, after = operation.inputs[0].shape, operation.outputs[0].shape
    if not before.rank or after.rank != 2 or before[-1] is None or before[-1] != after[-1]:
        return False
    return all(length == 1 for length in before[1:-1])


def is_constant(tensor: Any) -> bool:
    """Whether a tensor is the same for every image."""
    waiting, seen = [tensor.op], set()
    while waiting:
        operation = waiting.pop()
        if operation.type == "Placeholder":
            return False
        if operation.name not in seen:
            seen.add(operation.name)
            waiting += [part.op for part in operation.inputs]
    return True


def value_of(tensor: Any) -> NDArray[Any]:
    """The value of a tensor that is constant."""
    with _V1.Session(graph=tensor.graph) as session:
        return np.asarray(session.run(tensor))
