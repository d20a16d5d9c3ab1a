"""Branches of a TensorFlow graph that are never taken, removed: those for training, as a rule.

A model of TensorFlow 1 asks a ``keras_learning_phase`` at each dropout. Where that is a constant, only one branch is
left, which no longer needs to be chosen.
"""

from typing import Any

import tensorflow as tf

from converter.graph.tf_names import node_of

_COPIES = ("Identity", "RefIdentity", "GuaranteeConst", "StopGradient")


def take_constant_branches(graph_def: Any) -> None:
    """Let the readers of each branch read what a constant chooses, in place; the nodes that are left over stay."""
    nodes = {node.name: node for node in graph_def.node}
    chosen: dict[str, str] = {}  # an output of a switch or merge, and the tensor that it always equals
    dead = _unchosen(nodes, chosen)
    for node in graph_def.node:
        if node.name not in dead:
            read = [_followed(chosen, tensor) for tensor in node.input]
            node.ClearField("input")
            node.input.extend(read)


def _unchosen(nodes: dict[str, Any], chosen: dict[str, str]) -> set[str]:
    """The names of the nodes that never run; ``chosen`` is filled."""
    dead: set[str] = set()
    never: set[str] = set()  # outputs of switches
    changed = True
    while changed:  # one branch may lie inside another
        before = len(dead), len(never), len(chosen)
        for name, node in nodes.items():
            if name in dead:
                continue
            lost = [_output(tensor) in never or node_of(tensor) in dead for tensor in node.input]
            if node.op == "Merge":
                data = [tensor for tensor in node.input if not tensor.startswith("^")]
                left = [tensor for tensor, gone in zip(data, lost, strict=False) if not gone]
                if not left:
                    dead.add(name)
                elif len(left) == 1 < len(data):
                    chosen[f"{name}:0"] = left[0]
            elif any(lost):
                dead.add(name)
            elif node.op == "Switch" and (value := _constant(nodes, chosen, node.input[1])) is not None:
                chosen[f"{name}:{int(value)}"] = node.input[0]
                never.add(f"{name}:{int(not value)}")
        changed = before != (len(dead), len(never), len(chosen))
    return dead


def _constant(nodes: dict[str, Any], chosen: dict[str, str], tensor: str) -> bool | None:
    """The value of a truth value that is constant; None where it is not."""
    node = nodes[node_of(_followed(chosen, tensor))]
    if node.op == "Const":
        return bool(tf.make_ndarray(node.attr["value"].tensor))
    if node.op in _COPIES:
        return _constant(nodes, chosen, node.input[0])
    if node.op == "LogicalNot":
        value = _constant(nodes, chosen, node.input[0])
        return None if value is None else not value
    return None


def _followed(chosen: dict[str, str], tensor: str) -> str:
    while (output := _output(tensor)) in chosen:
        tensor = chosen[output]
    return tensor


def _output(tensor: str) -> str:
    return tensor if ":" in tensor else f"{tensor}:0"
