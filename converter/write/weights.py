"""The weights of a finished graph, taken out of it into variables, and what follows from constants alone.

TensorFlow holds a constant several times, and again for each set of outputs that it is asked for; a variable it holds
once. An Xception takes a third of the memory so (``python -m benchmarks.tensorflow_memory``). But TensorFlow simplifies
a graph only as far as it is made of constants, so its own optimiser folds them here, batch normalizations included.
Small constants stay: TensorFlow fuses a bias with the layer before it because it sees the bias.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import rewriter_config_pb2

from converter.errors import ConversionError
from converter.graph.tf_optimizer import optimized
from converter.quiet import quiet

_V1 = tf.compat.v1
# Bytes. The kernels of an Xception above it hold 99 % of its weights, and every bias is below.
LARGE = 1 << 16
_CONVOLUTIONS = ("Conv2D", "Conv3D", "DepthwiseConv2dNative")


def fold_constants(graph: Any, kept: Sequence[str]) -> Any:
    """A graph, as a ``GraphDef``, that computes nothing that follows from constants alone.

    Args:
        graph: A ``tf.Graph`` without functions and variables.
        kept: The names of the nodes that are fetched.
    """
    with graph.as_default():
        meta_graph = _V1.train.export_meta_graph(graph=graph, clear_devices=True)
    once = rewriter_config_pb2.RewriterConfig.ONE
    options = rewriter_config_pb2.RewriterConfig(optimizers=["constfold"], meta_optimizer_iterations=once)
    with quiet():
        return optimized(meta_graph, kept, options)


def make_weights_last(graph_def: Any) -> None:
    """Change a graph in place, so that the second input of a convolution or a ``MatMul`` is always a constant.

    The model server runs with ``TF_ONEDNN_ASSUME_FROZEN_WEIGHTS``: TensorFlow then keeps that input's first value. Of
    the two products, it does so for ``MatMul`` alone.

    Raises:
        ConversionError: A convolution's kernel is computed from the images.
    """
    nodes = {node.name: node for node in graph_def.node}
    for node in graph_def.node:
        if node.op not in (*_CONVOLUTIONS, "MatMul") or _is_constant(nodes, node.input[1]):
            continue
        if node.op != "MatMul":
            raise ConversionError(
                f"{node.name} convolves with a kernel that depends on the images of one request, not with a weight"
            )
        node.op = "BatchMatMulV2"
        for old, new in (("transpose_a", "adj_x"), ("transpose_b", "adj_y")):
            node.attr[new].b = node.attr[old].b
        for name in ("transpose_a", "transpose_b", "grad_a", "grad_b"):
            node.attr.pop(name, None)


def import_with_variables(graph_def: Any, smallest: int | None) -> list[tuple[Any, NDArray[Any]]]:
    """Put a graph into the default graph, with its large constants as variables.

    Args:
        graph_def: A ``GraphDef`` without functions.
        smallest: Constants of so many bytes or more become variables; None leaves them all.

    Returns:
        The variables, each with its value.
    """
    values: list[tuple[Any, NDArray[Any]]] = []
    reads: dict[str, Any] = {}
    for node in graph_def.node:
        if smallest is not None and node.op == "Const" and node.attr["dtype"].type != tf.string.as_datatype_enum:
            value = tf.make_ndarray(node.attr["value"].tensor)
            if value.nbytes >= smallest:
                variable = _V1.Variable(tf.zeros(value.shape, value.dtype), use_resource=True, name=node.name)
                values.append((variable, value))
                reads[f"{node.name}:0"] = variable.read_value()
    others = [node for node in graph_def.node if f"{node.name}:0" not in reads]
    tf.import_graph_def(_V1.GraphDef(node=others, versions=graph_def.versions), input_map=reads, name="")
    return values


def _is_constant(nodes: dict[str, Any], tensor: str) -> bool:
    node = nodes[tensor.split(":")[0]]
    while node.op == "Identity":
        node = nodes[node.input[0].split(":")[0]]
    return bool(node.op == "Const")
