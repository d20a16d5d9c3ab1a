"""A TensorFlow graph for a fixed number of images, changed to take any number."""

from typing import Any

import numpy as np
import tensorflow as tf

from converter.graph.tf_freeze import set_constant
from converter.graph.tf_names import node_of
from converter.graph.tf_tensors import import_graph, is_constant, name_of

_V1 = tf.compat.v1


def for_any_batch(graph_def: Any, image: str, batch: int, shape: tuple[int, int, int]) -> Any:
    """The graph for any number of images, of one that is for a fixed number.

    Where a Reshape takes and gives that many, row by row, its constant is changed: it then reshapes each image alone.
    What else depends on the number shows when the graph is computed for another.
    """
    result = type(graph_def).FromString(graph_def.SerializeToString())
    nodes = {node.name: node for node in result.node}
    with tf.Graph().as_default():
        pixels = _V1.placeholder(tf.as_dtype(nodes[node_of(image)].attr["dtype"].type), (batch, *shape))
        reshapes = [f"{name}:0" for name, node in nodes.items() if node.op == "Reshape"]
        for tensor in import_graph(graph_def, image, pixels, reshapes):
            before, after = tensor.op.inputs[0].shape, tensor.shape
            fixed = after.is_fully_defined() and before.rank and before[0] == after[0] == batch
            if fixed and is_constant(tensor.op.inputs[1]):
                name = f"{name_of(tensor.op)}/any_batch"
                target = result.node.add(name=name)
                set_constant(target, np.array([-1, *after[1:]], np.int32))
                node = nodes[name_of(tensor.op)]
                node.input[1] = name
                node.attr["Tshape"].type = target.attr["dtype"].type
    return result
