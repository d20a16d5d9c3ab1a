"""Reads a SavedModel without a graph runtime: its signatures."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from serving_api.messages import MetaGraphDef, NodeDef, SavedModel, SignatureDef
from serving_api.messages import TensorInfo as TensorInfoProto

FILE_NAME = "saved_model.pb"
SERVE_TAG = "serve"
# The initialiser of a TF2 SavedModel's tables is listed among the signatures under this name; nobody calls it.
# Source: tensorflow/python/saved_model/constants.py, INIT_OP_SIGNATURE_KEY.
_INIT_OP_SIGNATURE = "__saved_model_init_op"
_VARIABLES = {"VarHandleOp", "VariableV2", "Variable"}


class SavedModelError(ValueError):
    """A folder does not hold a SavedModel that this server can read."""


@dataclass(frozen=True)
class TensorInfo:
    """A signature's input or output.

    Attributes:
        name: Name of the graph's tensor, such as ``images:0``.
        dtype: TensorFlow's number, as in ``TensorProto.dtype``.
        shape: -1 for a free dimension; None for an unknown rank.
    """

    name: str
    dtype: int
    shape: tuple[int, ...] | None


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
                raise SavedModelError(f"{path} holds no {name}: copy the model's whole folder")
            return meta_graph
    raise SavedModelError(f'{file} holds no graph tagged "{SERVE_TAG}": it was not saved for serving')


def signatures(meta_graph: MetaGraphDef) -> dict[str, Signature]:
    """Return a MetaGraphDef's signatures by name; they do not keep the MetaGraphDef alive."""
    return {
        name: Signature(
            inputs={alias: _tensor_info(info) for alias, info in proto.inputs.items()},
            outputs={alias: _tensor_info(info) for alias, info in proto.outputs.items()},
            method_name=proto.method_name,
            # A copy, since a part of a message keeps the whole message in memory, weights included.
            proto=type(proto).FromString(proto.SerializeToString()),
        )
        for name, proto in meta_graph.signature_def.items()
        if name != _INIT_OP_SIGNATURE
    }


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
    return (name for name in needed if not (path / name).is_file())


def _tensor_info(info: TensorInfoProto) -> TensorInfo:
    shape = None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim)
    return TensorInfo(info.name, info.dtype, shape)
