"""A TensorFlow graph with its weights as constants, of which only what computes one output is kept.

It has no functions, variables, placeholders but the image, or operations that do more than compute. A graph is a
program, so what it may do is decided before any of it runs: ``check_harmless``.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import rewriter_config_pb2
from tensorflow.python.framework import convert_to_constants, op_def_registry

from converter.errors import ConversionError
from converter.graph.tf_branches import take_constant_branches
from converter.graph.tf_names import node_of
from converter.graph.tf_optimizer import optimized

_V1 = tf.compat.v1
# TensorFlow calls these stateful, too: variables become constants, calls are looked into, and checks only fail.
_VARIABLES = ("Variable", "VariableV2", "VarHandleOp", "ReadVariableOp", "ResourceGather", "VariableShape")
_CALLS = ("StatefulPartitionedCall", "If", "While", "Case")
_CHECKS = ("Assert", "CheckNumerics", "CheckNumericsV2", "GuaranteeConst")
_HARMLESS = frozenset(_VARIABLES + _CALLS + _CHECKS)
_RANDOM = re.compile(r"(Random|TruncatedNormal|Multinomial|Stateful(Uniform|StandardNormal|TruncatedNormal)|Rng)")
# What touches files, the network or Python, or ends the process; TensorFlow does not call all of it stateful.
_OUTSIDE = re.compile(
    "File|PyFunc|Dataset|Table|Queue|Debug|Proto|CustomCall|CustomAggregator|^(ImmutableConst|Copy|CopyHost|Abort|Batch)$"
)
_CONTROL_FLOW = frozenset(("Switch", "Merge", "Enter", "Exit", "NextIteration", "LoopCond"))
_PLACEHOLDERS = ("Placeholder", "PlaceholderV2")


def frozen_function(function: Any) -> tuple[Any, str, str]:
    """The graph of a concrete function with one input and one output, and the names of these two tensors.

    Raises:
        ConversionError: It does more than compute.
    """
    constant = convert_to_constants.convert_variables_to_constants_v2(function)
    (image,), (output,) = constant.inputs, constant.outputs
    return plain(constant.graph.as_graph_def(), image.name, output.name), image.name, output.name


def frozen_session(session: Any, graph_def: Any, image: str, output: str) -> Any:
    """The graph between two tensors of a session, with the session's values of the variables.

    Raises:
        ConversionError: It does more than compute.
    """
    nodes = convert_to_constants.convert_variables_to_constants_from_session_graph(
        session, graph_def, [node_of(output)]
    )
    return plain(nodes, image, output)


def plain(graph_def: Any, image: str, output: str) -> Any:
    """A graph without variables as one without functions, and without branches that are never taken.

    Args:
        graph_def: A ``GraphDef``.
        image: The name of the placeholder's tensor; the placeholder stays even if nothing reads it.
        output: The name of the tensor that is kept, with what it needs.

    Raises:
        ConversionError: It does more than compute, or needs another input.
    """
    nodes = _inlined(graph_def, image, output)
    take_constant_branches(nodes)
    nodes = _needed(nodes, output)
    check_inputs(nodes, image, output)
    check_computes(nodes)
    for node in nodes.node:
        node.ClearField("device")
        for name in [name for name in node.attr if name.startswith("_")]:  # remarks, such as shapes of another batch
            del node.attr[name]
    return _without_order(nodes, output)


def _without_order(graph_def: Any, output: str) -> Any:
    """The graph without control edges: they order effects, and there are none."""
    for node in graph_def.node:
        data = [tensor for tensor in node.input if not tensor.startswith("^")]
        node.ClearField("input")
        node.input.extend(data)
    nodes = _needed(graph_def, output)
    for node in nodes.node:
        if node.op in _CONTROL_FLOW:
            raise ConversionError(
                f"the graph branches or loops as it computes ({node.name}), which the model servers do not do alike"
            )
    return nodes


def check_harmless(graph_def: Any, *outputs: str) -> None:
    """Refuse a graph whose outputs need more than computing, its functions included, before it runs.

    Random numbers are left to ``check_computes``: they may stand in a branch that is never taken.

    Raises:
        ConversionError: An operation keeps state, or touches files, the network or Python.
    """
    functions = functions_of(graph_def)
    for node in reachable(graph_def, *outputs):
        definition = op_def_registry.get(node.op)
        if definition is None and node.op not in functions:
            raise ConversionError(
                f"the model uses the operation {node.op} ({node.name}), which TensorFlow does not have"
            )
        if _OUTSIDE.search(node.op) or (
            definition and definition.is_stateful and node.op not in _HARMLESS and not _RANDOM.match(node.op)
        ):
            raise _refused(node)


def check_computes(graph_def: Any) -> None:
    """Refuse a graph without functions that does not give the same for the same image, whatever else is in the batch.

    Raises:
        ConversionError: An operation draws random numbers, or normalises by the batch; or as ``check_harmless``.
    """
    for node in graph_def.node:
        definition = op_def_registry.get(node.op)
        if _OUTSIDE.search(node.op) or definition is None or (definition.is_stateful and node.op not in _CHECKS):
            raise _refused(node)
        if node.op.startswith("FusedBatchNorm") and node.attr["is_training"].b:
            raise ConversionError(
                f"{node.name} normalises by the images of one request, as in training; save the model as it predicts"
            )


def _refused(node: Any) -> ConversionError:
    return ConversionError(
        f"the model runs {node.op} ({node.name}); a served model may only compute with its weights: no random numbers, "
        "tables, files, network or Python"
    )


def check_inputs(graph_def: Any, image: str, output: str, names: Mapping[str, str] | None = None) -> None:
    """Refuse a graph whose output needs another input than the image.

    Args:
        graph_def: A ``GraphDef``.
        image: The name of the image's tensor.
        output: The name of the output's tensor.
        names: What users call the nodes of inputs, where that is another name.

    Raises:
        ConversionError: It does.
    """
    for node in _needed(graph_def, output).node:
        if node.op in _PLACEHOLDERS and node.name != node_of(image):
            name = (names or {}).get(node.name, node.name)
            dtype = tf.as_dtype(node.attr["dtype"].type).name
            raise ConversionError(f"the model needs another input than the image, too: {name} ({dtype})")


def reachable(graph_def: Any, *outputs: str) -> Iterator[Any]:
    """The nodes that tensors or nodes of a graph need, those of called functions included."""
    functions = functions_of(graph_def)
    yield from (nodes := _V1.graph_util.extract_sub_graph(graph_def, [node_of(name) for name in outputs])).node
    waiting, seen = list(nodes.node), set()
    while waiting:
        node = waiting.pop()
        for name in _called(node, functions):
            if name not in seen:
                seen.add(name)
                waiting += functions[name].node_def
                yield from functions[name].node_def


def functions_of(graph_def: Any) -> Mapping[str, Any]:
    """The functions of a graph, by name."""
    return {function.signature.name: function for function in graph_def.library.function}


def set_constant(node: Any, value: Any) -> None:
    """Turn a node of a ``GraphDef`` into a constant."""
    tensor = tf.make_tensor_proto(value)
    name = node.name
    node.Clear()
    node.name, node.op = name, "Const"
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)


def use_default(node: Any) -> None:
    """Turn a ``PlaceholderWithDefault`` of a ``GraphDef`` into its default."""
    node.op = "Identity"
    node.attr["T"].CopyFrom(node.attr["dtype"])
    del node.attr["dtype"], node.attr["shape"]


def _called(node: Any, functions: Mapping[str, Any]) -> Iterator[str]:
    if node.op in functions:
        yield node.op
    for value in node.attr.values():
        named = [value.func] if value.HasField("func") else value.list.func
        yield from (function.name for function in named if function.name in functions)


def _needed(graph_def: Any, output: str) -> Any:
    return _V1.graph_util.extract_sub_graph(graph_def, [node_of(output)])


def _inlined(graph_def: Any, *kept: str) -> Any:
    """The graph after TensorFlow's own optimiser has inlined its functions.

    Nothing else is optimised: what the engines do for themselves would only hide the model's structure.
    """
    for function in graph_def.library.function:
        function.attr.pop("api_implements", None)  # as of an LSTM for a GPU: it keeps functions from being inlined
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        meta_graph = _V1.train.export_meta_graph(graph_def=graph_def, graph=graph)
    aggressive = rewriter_config_pb2.RewriterConfig.AGGRESSIVE
    options = rewriter_config_pb2.RewriterConfig(optimizers=["function"], function_optimization=aggressive)
    return optimized(meta_graph, kept, options)
