"""TensorFlow's own graph optimiser, with one of its optimisations at a time."""

from collections.abc import Sequence
from typing import Any

from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.grappler import tf_optimizer


def optimized(meta_graph: Any, kept: Sequence[str], options: Any) -> Any:
    """The optimised graph, a ``GraphDef``, of any size.

    Args:
        meta_graph: A ``MetaGraphDef``; it is changed.
        kept: The names of the nodes that are fetched.
        options: The ``RewriterConfig``, which names the optimisation.
    """
    fetched = meta_graph_pb2.CollectionDef()
    fetched.node_list.value.extend(kept)
    meta_graph.collection_def["train_op"].CopyFrom(fetched)
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.CopyFrom(options)
    config.graph_options.rewrite_options.min_graph_nodes = -1
    return tf_optimizer.OptimizeGraph(config, meta_graph)
