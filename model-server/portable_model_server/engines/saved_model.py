"""Reads a SavedModel without a graph runtime: its signatures."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from google.protobuf.message import DecodeError

from serving_api.messages import DataType, MetaGraphDef, NodeDef, SavedModel, SignatureDef
from serving_api.messages import TensorInfo as TensorInfoProto
from serving_api.names import DEFAULT_SIGNATURE

FILE_NAME = "saved_model.pb"
SERVE_TAG = "serve"
# The attribute that holds the dtype of what a node returns, for the nodes that are fed.
_DTYPE_ATTRIBUTES = {"Placeholder": "dtype", "PlaceholderWithDefault": "dtype", "Identity": "T"}
_VARIABLES = {"VarHandleOp", "VariableV2", "Variable"}


class SavedModelError(ValueError):
    """A folder does not hold a SavedModel that this server can read."""


@dataclass(frozen=True)
class TensorInfo:
    """A signature's input or output.

    Attributes:
        name: Name of the graph's tensor, such as ``images:0``.
        dtype: TensorFlow's number, as in ``TensorProto.dtype``; for an input that of the tensor that is fed, since
            TensorFlow never reads what a signature says of it.
        shape: -1 for a free dimension; None for an unknown rank.
    """

    name: str
    dtype: int
    shape: tuple[int, ...] | None

    @property
    def is_tensor(self) -> bool:
        """False for an operation without a value, such as a SavedModel's initialiser or its training step.

        Those are listed among the signatures, as ``__saved_model_init_op`` and ``__saved_model_train_op``.
        """
        return self.dtype != DataType.DT_INVALID or ":" in self.name


@dataclass(frozen=True)
class Signature:
    """One function of a model.

    Attributes:
        inputs: The input tensors by alias.
        outputs: The output tensors by alias.
        method_name: Name of the method that the function is for, such as ``tensorflow/serving/predict``.
        proto: The SignatureDef that all this was read from.
    """

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    method_name: str
    proto: SignatureDef

    @property
    def has_rows(self) -> bool:
        """Whether every input and output has a free first dimension, so that calls can share a batch."""
        tensors = [*self.inputs.values(), *self.outputs.values()]
        return bool(self.inputs) and all(info.shape and info.shape[0] == -1 for info in tensors)


def read_saved_model(path: Path) -> MetaGraphDef:
    """Read the MetaGraphDef for serving from the SavedModel in a folder.

    It holds the weights of a frozen model, so keep it no longer than needed.

    Raises:
        SavedModelError: There is no SavedModel, it is not whole, it cannot be read, or it was not saved for serving.
    """
    file = path / FILE_NAME
    try:
        saved_model = SavedModel.FromString(file.read_bytes())
    except FileNotFoundError:
        raise SavedModelError(f"{path} holds no {FILE_NAME}: copy the model's whole folder") from None
    except OSError as error:
        raise SavedModelError(f"{file} cannot be read: {error.strerror}") from None
    except DecodeError:
        saved_model = SavedModel()
    if not saved_model.meta_graphs:
        raise SavedModelError(f"{file} is damaged or not yet whole: it does not parse as a SavedModel")
    for meta_graph in saved_model.meta_graphs:
        if list(meta_graph.meta_info_def.tags) == [SERVE_TAG]:
            for name in _missing(path, meta_graph):
                raise SavedModelError(f"{path} holds no {name}: copy the model's whole folder, readable by all")
            return meta_graph
    raise SavedModelError(f'{file} holds no graph tagged "{SERVE_TAG}": it was not saved for serving')


def signatures(meta_graph: MetaGraphDef) -> dict[str, Signature]:
    """Return a MetaGraphDef's signatures by name; they do not keep the MetaGraphDef alive."""
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    return {
        name: Signature(
            inputs={alias: _fed(_tensor_info(info), nodes) for alias, info in proto.inputs.items()},
            outputs={alias: _tensor_info(info) for alias, info in proto.outputs.items()},
            method_name=proto.method_name,
            # A copy, since a part of a message keeps the whole message in memory, weights included.
            proto=type(proto).FromString(proto.SerializeToString()),
        )
        for name, proto in meta_graph.signature_def.items()
    }


def write_with_default(path: Path, name: str, folder: Path) -> None:
    """Write a SavedModel whose default signature, its only one, is any signature of the SavedModel in ``path``.

    What is fed within the graph becomes a placeholder there. The variables and assets are links.

    Args:
        path: The folder of the SavedModel.
        name: The signature.
        folder: An empty folder.

    Raises:
        SavedModelError: There is no readable SavedModel.
        OSError: It cannot be written.
    """
    meta_graph = read_saved_model(path)
    signature = SignatureDef.FromString(meta_graph.signature_def[name].SerializeToString())
    meta_graph.ClearField("signature_def")
    meta_graph.signature_def[DEFAULT_SIGNATURE].CopyFrom(signature)
    fed = {info.name.removesuffix(":0"): info for info in signature.inputs.values()}
    for node in meta_graph.graph_def.node:
        if node.name in fed and node.op != "Placeholder":
            info = _fed(_tensor_info(fed[node.name]), {node.name: node})
            node.Clear()
            node.name, node.op = info.name.removesuffix(":0"), "Placeholder"
            node.attr["dtype"].type = DataType.ValueType(info.dtype)
            node.attr["shape"].shape.CopyFrom(fed[node.name].tensor_shape)
    (folder / FILE_NAME).write_bytes(SavedModel(meta_graphs=[meta_graph]).SerializeToString())
    for beside in ("variables", "assets"):
        if (path / beside).exists():
            (folder / beside).symlink_to((path / beside).absolute())


def placeholders(meta_graph: MetaGraphDef) -> dict[str, str]:
    """The tensors that a graph has for its inputs, by name, and the operations that make them.

    A signature may also feed tensors within the graph.
    """
    nodes = meta_graph.graph_def.node
    return {f"{node.name}:0": node.op for node in nodes if node.op in ("Placeholder", "PlaceholderWithDefault")}


def has_assertions(meta_graph: MetaGraphDef) -> bool:
    """Whether a graph refuses some inputs by an operation of its own."""
    return any(node.op == "Assert" for node in _nodes(meta_graph))


def _nodes(meta_graph: MetaGraphDef) -> Iterator[NodeDef]:
    """The nodes of a graph and of its functions."""
    yield from meta_graph.graph_def.node
    for function in meta_graph.graph_def.library.function:
        yield from function.node_def


def _missing(path: Path, meta_graph: MetaGraphDef) -> Iterator[str]:
    """The files that a graph needs and that are not there."""
    operations = {node.op for node in _nodes(meta_graph)}
    needed = [f"assets/{asset.filename}" for asset in meta_graph.asset_file_def]
    if "RestoreV2" in operations and operations & _VARIABLES:
        needed.append("variables/variables.index")
        # The files of the values are named like variables.data-00000-of-00002.
        digits = "[0-9]" * 5
        counts = [file.name[-5:] for file in path.glob(f"variables/variables.data-{digits}-of-{digits}")]
        count = min(counts, default="00001")
        needed += [f"variables/variables.data-{shard:05}-of-{count}" for shard in range(int(count))]
    # Path.is_file raises where it may not look.
    return (name for name in needed if not os.path.isfile(path / name))  # noqa: PTH113


def _fed(info: TensorInfo, nodes: Mapping[str, NodeDef]) -> TensorInfo:
    """An input with the dtype that its tensor really has."""
    node = nodes.get(info.name.removesuffix(":0"), NodeDef())
    attribute = _DTYPE_ATTRIBUTES.get(node.op)
    return replace(info, dtype=node.attr[attribute].type) if attribute else info


def _tensor_info(info: TensorInfoProto) -> TensorInfo:
    shape = None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim)
    return TensorInfo(info.name, info.dtype, shape)
