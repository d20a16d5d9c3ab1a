"""A TensorFlow graph that computes in float16 or bfloat16, changed to compute in float32.

As for Keras models (``float32``): a CPU computes float16 slowly, and its precision is too low for a probability. The
variables of a mixed precision are float32 already; what casts them then casts nothing.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from converter.errors import ConversionError

_HALVES = (tf.float16.as_datatype_enum, tf.bfloat16.as_datatype_enum)
_FLOAT = tf.float32.as_datatype_enum
_VARIABLES = ("VarHandleOp", "VariableV2", "Variable")
_FILES = ("RestoreV2", "SaveV2")  # they hold the dtypes that the files have


def in_float32(graph_def: Any) -> None:
    """Change a graph and its functions in place.

    Raises:
        ConversionError: A variable is not float32.
    """
    _change(graph_def.node)
    for function in graph_def.library.function:
        if not any(node.op in _FILES for node in function.node_def):
            _change(function.node_def)
            for argument in (*function.signature.input_arg, *function.signature.output_arg):
                argument.type = as_float32(argument.type)


def as_float32(dtype: int) -> int:
    """The number of a dtype in TensorFlow's protobufs, that of float32 for a shorter float."""
    return int(_FLOAT) if dtype in _HALVES else dtype


def _change(nodes: Iterable[Any]) -> None:
    for node in nodes:
        if node.op in _VARIABLES and node.attr["dtype"].type in _HALVES:
            raise ConversionError(f"the weights are not float32 ({node.name}); save the model in float32")
        if node.op in _FILES:
            continue
        for value in node.attr.values():
            if value.type in _HALVES:
                value.type = _FLOAT
            if value.HasField("list"):
                value.list.type[:] = [as_float32(dtype) for dtype in value.list.type]
            if value.HasField("tensor") and value.tensor.dtype in _HALVES:
                array = tf.make_ndarray(value.tensor).astype(np.float32)
                value.tensor.CopyFrom(tf.make_tensor_proto(array))
