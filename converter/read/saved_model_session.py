"""The part of a SavedModel that computes one output, with its variables, in a session.

A SavedModel is a program. Only what computes that output and what restores the variables is taken out of it, looked at,
and then run, as TensorFlow Serving runs it; initialisers never run.
"""

import re
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from converter.errors import ConversionError, one_line
from converter.graph.tf_float32 import as_float32, in_float32
from converter.graph.tf_freeze import check_harmless, check_inputs, reachable, set_constant, use_default
from converter.graph.tf_names import node_of

_V1 = tf.compat.v1
_LEARNING_PHASE = re.compile(r"(^|/)keras_learning_phase(_\d+)?$")  # of Keras 1 and 2: whether the model trains
_HANDLES = ("VarHandleOp", "VariableV2", "Variable")
# All that restoring variables takes, in TensorFlow 1 and 2.
_RESTORES = frozenset(
    (
        *("RestoreV2", "Assign", "AssignVariableOp", "DisableCopyOnRead", "ReadVariableOp", *_HANDLES),
        *("PartitionedCall", "StatefulPartitionedCall", "NoOp", "Identity", "IdentityN"),
        *("Const", "Placeholder", "PlaceholderWithDefault", "Reshape", "Pack", "Cast"),
    )
)
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # source: tensorflow/python/trackable/base.py, OBJECT_GRAPH_PROTO_KEY
LFS_POINTER = b"version https://git-lfs"  # how such a file begins


def session_of(folder: Path, meta_graph: Any, signature: Any, image: Any, output: str) -> Any:
    """A session with the variables that an output needs.

    Args:
        folder: The SavedModel.
        meta_graph: A ``MetaGraphDef`` of it.
        signature: The ``SignatureDef`` that is meant.
        image: The ``TensorInfo`` of the image; in the session's graph it is a placeholder.
        output: The name of the output's tensor.

    Raises:
        ConversionError: The output needs more than an image and computing, or the variables cannot be restored.
    """
    saver = meta_graph.saver_def
    restore = [saver.restore_op_name] if saver.restore_op_name else []
    graph_def = _runnable(meta_graph.graph_def, image, [output, *restore])
    names = {node_of(tensor.name): name for name, tensor in signature.inputs.items()}
    check_inputs(graph_def, image.name, output, names)
    check_harmless(graph_def, output)
    for node in reachable(graph_def, *restore):
        if node.op not in _RESTORES:
            raise ConversionError(f"restoring the variables runs {node.op} ({node.name}), which is refused")
    handles = [node for node in reachable(graph_def, output) if node.op in _HANDLES]
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="", producer_op_list=meta_graph.meta_info_def.stripped_op_list)
        session = _V1.Session(graph=graph)
        if handles:
            _check_files(folder / "variables")
            prefix = str(folder / "variables" / "variables")
            try:
                if restore:
                    session.run(restore, {saver.filename_tensor_name: prefix})
                _restore_others(session, [node.name for node in handles], prefix)
            except tf.errors.OpError as error:
                raise ConversionError(
                    f"the variables cannot be read: {one_line(error)}; copy or save the whole folder again"
                ) from None
    return session


def _runnable(graph_def: Any, image: Any, kept: list[str]) -> Any:
    """The nodes that some tensors or nodes need, with a placeholder as the image, and no other one with a default."""
    names = {node.name for node in graph_def.node}
    for name in (image.name, *kept):
        if node_of(name) not in names:
            raise ConversionError(f"saved_model.pb is damaged: its graph has no {name}")
    if image.name != f"{node_of(image.name)}:0":
        raise ConversionError(f"the image is {image.name}, not the only output of an operation")
    nodes = type(graph_def).FromString(graph_def.SerializeToString())
    in_float32(nodes)
    for node in nodes.node:
        if node.name == node_of(image.name):
            node.Clear()
            node.name, node.op = node_of(image.name), "Placeholder"
            node.attr["dtype"].type = as_float32(image.dtype)
            node.attr["shape"].shape.CopyFrom(image.tensor_shape)
    needed = {node.name for node in _V1.graph_util.extract_sub_graph(nodes, [node_of(kept[0])]).node}
    for node in nodes.node:
        if node.name in needed and node.op.startswith("Placeholder") and _LEARNING_PHASE.search(node.name):
            set_constant(node, False)
        elif node.name in needed and node.op == "PlaceholderWithDefault":
            use_default(node)
    return _V1.graph_util.extract_sub_graph(nodes, [node_of(name) for name in kept])


def _check_files(variables: Path) -> None:
    if not (variables / "variables.index").is_file():
        raise ConversionError("variables/variables.index is missing; copy or save the whole folder again")
    for path in variables.iterdir():
        if not path.is_file():
            raise ConversionError(f"variables/{path.name} is no file")
        with path.open("rb") as file:
            if file.read(len(LFS_POINTER)) == LFS_POINTER:
                raise ConversionError(
                    f"variables/{path.name} is a Git LFS pointer and not the weights; run: git lfs pull"
                )


def _restore_others(session: Any, names: list[str], prefix: str) -> None:
    """Restore what the model's own operation leaves out, and make each variable readable.

    Keras 3 models that ``tf.saved_model.save`` wrote hold each variable twice, and restore the one that nothing reads.
    """
    graph = session.graph
    checkpoint = tf.train.load_checkpoint(prefix)
    keys = _checkpoint_keys(checkpoint)
    for name in dict.fromkeys(names):
        handle = graph.get_operation_by_name(name)
        tensor = handle.outputs[0]
        is_resource = handle.type == "VarHandleOp"
        raw = tf.raw_ops
        known = raw.VarIsInitializedOp(resource=tensor) if is_resource else raw.IsVariableInitialized(ref=tensor)
        dtype = tf.as_dtype(handle.get_attr("dtype"))
        if not session.run(known):
            key = keys.get(_shared_name(handle))
            if key is None:
                raise ConversionError(f"variables/ holds no value of the variable {name}; save the model again")
            value = _V1.placeholder(dtype)
            assign = (
                raw.AssignVariableOp(resource=tensor, value=value)
                if is_resource
                else raw.Assign(ref=tensor, value=value, validate_shape=True)
            )
            session.run(assign, {value: checkpoint.get_tensor(key)})
        reader = f"{name}/Read/ReadVariableOp"  # which TensorFlow's freezing asks for
        if is_resource and reader not in graph._nodes_by_name:
            raw.ReadVariableOp(resource=tensor, dtype=dtype, name=reader)


def _shared_name(handle: Any) -> str:
    return str(handle.get_attr("shared_name").decode() or handle.name)


def _checkpoint_keys(checkpoint: Any) -> dict[str, str]:
    """The keys of a checkpoint by the names of the variables; no name that two variables share."""
    names = checkpoint.get_variable_to_shape_map()
    if _OBJECT_GRAPH not in names:
        return {name: name for name in names}  # TensorFlow 1
    objects = trackable_object_graph_pb2.TrackableObjectGraph.FromString(checkpoint.get_tensor(_OBJECT_GRAPH))
    named = [(value.full_name, value.checkpoint_key) for node in objects.nodes for value in node.attributes]
    keys: dict[str, str] = {}
    shared = set()
    for name, key in named:
        if keys.setdefault(name, key) != key:
            shared.add(name)
    return {name: key for name, key in keys.items() if name not in shared}
