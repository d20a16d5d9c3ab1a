"""A SavedModel folder as input: of Keras 3's ``export``, of Keras 2, of TensorFlow 2 or of TensorFlow 1.

A SavedModel is a program. Only what computes one signature's output and what restores its variables is taken out of it,
looked at, and then run in a session, as TensorFlow Serving does; its initialisers never run.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from brain_tumor import contract
from converter.errors import ConversionError, one_line
from converter.graph.tf_freeze import frozen_session
from converter.graph.tf_graph import GraphHead, find_head
from converter.quiet import quiet
from converter.read.network import Network, Selection, choose
from converter.read.saved_model_session import LFS_POINTER, session_of

_V1 = tf.compat.v1
_INITIALISER = "__saved_model_init_op"  # a signature by name, but none for callers
_DEFAULT = "serving_default"
_KERAS_VERSION = re.compile(rb'"keras_version": "([0-9a-z.]+)"')
_DEFAULT_SIDE = 64  # pixels, where the model takes images of any size and does not say how many numbers it gives


@dataclass(frozen=True, eq=False)
class SavedModelNetwork(Network):
    """One signature of a SavedModel, with its variables, in a session.

    Attributes:
        session: It holds the variables.
        graph_def: What computes the output.
        image: The name of the placeholder's tensor.
        output: The name of the output's tensor.
        batch: How many images the placeholder takes; None where it takes any number.
    """

    session: Any = field(repr=False)
    graph_def: Any = field(repr=False)
    image: str
    output: str
    batch: int | None
    height: int | None
    width: int | None
    channels: int
    outputs: int
    origin: Mapping[str, str]

    def predict(self, pixels: Any) -> Any:
        """The signature's output, (batch, output)."""
        images = np.asarray(pixels)
        size = self.batch or len(images)
        parts = [images[start : start + size] for start in range(0, len(images), size)]
        with quiet():
            return np.concatenate([self._run(part, size) for part in parts])

    def head(self, height: int, width: int) -> GraphHead:
        """The frozen graph and its end."""
        with quiet():
            return find_head(self._frozen, self.image, self.output, height, width)

    @cached_property
    def _frozen(self) -> Any:
        return frozen_session(self.session, self.graph_def, self.image, self.output)

    def _run(self, images: Any, size: int) -> Any:
        tensor = self.session.graph.get_tensor_by_name(self.image)
        padded = np.zeros((size, *images.shape[1:]), tensor.dtype.as_numpy_dtype)
        padded[: len(images)] = images
        return self.session.run(self.output, {tensor: padded})[: len(images)]


def read(folder: Path, selection: Selection) -> SavedModelNetwork:
    """Read one signature of a SavedModel.

    Args:
        folder: It holds ``saved_model.pb``, or ``saved_model.pbtxt``, and ``variables``.
        selection: Which signature, input and output are meant.

    Raises:
        ConversionError: It is damaged, is not of a kind that can be converted, or it is not clear what is meant.
    """
    try:
        meta_graph = _serving_graph(folder)
        name, signature = _signature(meta_graph, selection)
        image = _image(signature, name, selection)
        output = _output(signature, name, selection)
        with quiet():
            return _network(folder, meta_graph, signature, image, output)
    except (ConversionError, MemoryError):
        raise
    except Exception as error:  # a broken or hostile file can raise anything in TensorFlow
        raise ConversionError(f"cannot be loaded: {one_line(error)}") from None


def _serving_graph(folder: Path) -> Any:
    saved_model = _protobuf(folder)
    graphs = [graph for graph in saved_model.meta_graphs if tf.saved_model.SERVING in graph.meta_info_def.tags]
    if not graphs:
        tags = ["+".join(graph.meta_info_def.tags) or "none" for graph in saved_model.meta_graphs]
        raise ConversionError(f"holds no graph for serving, which has the tag serve (tags here: {', '.join(tags)})")
    meta_graph = min(graphs, key=lambda graph: len(graph.meta_info_def.tags))  # the others are for other devices
    describe = meta_graph.signature_def.get(contract.DESCRIBE_SIGNATURE)
    if describe is not None and contract.METADATA in describe.outputs and describe.inputs.keys() <= {contract.QUERIES}:
        raise ConversionError("is a converted model already; serve it as it is")
    return meta_graph


def _protobuf(folder: Path) -> Any:
    binary, text = folder / "saved_model.pb", folder / "saved_model.pbtxt"
    path = binary if binary.exists() else text
    saved_model = saved_model_pb2.SavedModel()
    if path.exists() and not path.is_file():  # such as a pipe, which may never end
        raise ConversionError(f"{path.name} is no file")
    try:
        data = path.read_bytes()
        if data.startswith(LFS_POINTER):
            raise ConversionError(f"{path.name} is a Git LFS pointer and not the model; run: git lfs pull")
        if path is binary:
            saved_model.ParseFromString(data)
        else:
            text_format.Parse(data.decode(), saved_model)
    except FileNotFoundError:
        raise ConversionError("holds no saved_model.pb, so it is no SavedModel") from None
    except (OSError, DecodeError, text_format.ParseError, UnicodeDecodeError):
        saved_model.Clear()
    if not saved_model.meta_graphs:
        raise ConversionError(f"{path.name} is damaged or incomplete; copy or save the whole folder again")
    return saved_model


def _signature(meta_graph: Any, selection: Selection) -> tuple[str, Any]:
    signatures = {name: value for name, value in meta_graph.signature_def.items() if name != _INITIALISER}
    if not signatures:
        raise ConversionError("has no signature, so nothing says what the model takes; save it with one")
    if selection.signature is not None:
        choose("signature", sorted(signatures), selection.signature)
        return selection.signature, signatures[selection.signature]
    if len(signatures) == 1:
        return next(iter(signatures.items()))
    fitting = [name for name, value in signatures.items() if _images(value) and _numbers(value)]
    if _DEFAULT in fitting:
        fitting = [_DEFAULT]
    name = fitting[0] if len(fitting) == 1 else sorted(signatures)[choose("signature", sorted(signatures), None)]
    return name, signatures[name]


def _image(signature: Any, name: str, selection: Selection) -> Any:
    """The image's tensor."""
    candidates = sorted(signature.inputs)
    if selection.input is None and len(candidates) > 1:
        candidates = _images(signature)
    if not candidates:
        inputs = [f"{key} {_described(tensor)}" for key, tensor in signature.inputs.items()] or ["nothing"]
        raise ConversionError(f"the signature {name} takes {', '.join(inputs)}; it must take images")
    return signature.inputs[candidates[choose("input", candidates, selection.input)]]


def _output(signature: Any, name: str, selection: Selection) -> Any:
    """The tensor of the classes' numbers."""
    candidates = sorted(signature.outputs)
    if selection.output is None and len(candidates) > 1:
        candidates = _numbers(signature) or candidates
    if not candidates:
        raise ConversionError(f"the signature {name} gives nothing")
    return signature.outputs[candidates[choose("output", candidates, selection.output)]]


def _images(signature: Any) -> list[str]:
    """The inputs that may be images."""
    return [
        name for name, tensor in sorted(signature.inputs.items()) if _rank(tensor) in (None, 4) and _is_number(tensor)
    ]


def _numbers(signature: Any) -> list[str]:
    """The outputs that may be one number for each class."""
    return [
        name
        for name, tensor in sorted(signature.outputs.items())
        if _rank(tensor) in (None, 2) and tf.as_dtype(tensor.dtype).is_floating
    ]


def _is_number(tensor: Any) -> bool:
    dtype = tf.as_dtype(tensor.dtype)
    return bool(dtype.is_floating or dtype.is_integer)


def _rank(tensor: Any) -> int | None:
    return None if tensor.tensor_shape.unknown_rank else len(tensor.tensor_shape.dim)


def _shape(tensor: Any) -> list[int | None]:
    return [None if dim.size < 0 else int(dim.size) for dim in tensor.tensor_shape.dim]


def _described(tensor: Any) -> str:
    shape = "any shape" if tensor.tensor_shape.unknown_rank else f"({', '.join(map(str, _shape(tensor)))})"
    return f"{shape} of {tf.as_dtype(tensor.dtype).name}"


def _network(folder: Path, meta_graph: Any, signature: Any, image: Any, output: Any) -> SavedModelNetwork:
    if tf.as_dtype(image.dtype) == tf.string:
        raise ConversionError(
            "the model takes strings, such as encoded images; save it with a signature that takes pixels"
        )
    if not image.name or not output.name:
        raise ConversionError("the model's input or output is not one dense tensor")
    shape = _shape(image)
    if _rank(image) != 4 or shape[3] not in (1, 3) or not _is_number(image):
        raise ConversionError(f"the model takes {_described(image)}; it must take (None, height, width, 3)")
    if _rank(output) not in (None, 2) or not tf.as_dtype(output.dtype).is_floating:
        raise ConversionError(f"the model gives {_described(output)}; it must give (None, classes)")
    session = session_of(folder, meta_graph, signature, image, output.name)
    graph_def = session.graph.as_graph_def()
    batch, height, width, channels = shape
    origin = {"format": "SavedModel", "tensorflow": meta_graph.meta_info_def.tensorflow_version, **_keras(folder)}
    outputs = _outputs(session, image.name, output.name, shape)
    return SavedModelNetwork(
        session, graph_def, image.name, output.name, batch, height, width, channels or 3, outputs, origin
    )


def _outputs(session: Any, image: str, output: str, shape: list[int | None]) -> int:
    """How many numbers an image gives, as the graph says, or as it computes."""
    tensor = session.graph.get_tensor_by_name(output)
    given = tensor.shape
    if given.rank is None or given[-1] is None:
        batch, height, width, channels = shape
        blank = np.zeros((batch or 1, height or _DEFAULT_SIDE, width or _DEFAULT_SIDE, channels or 3))
        given = tf.TensorShape(session.run(tensor, {image: blank}).shape)
    if given.rank != 2:
        raise ConversionError(f"the model gives {given}; it must give (None, classes)")
    return int(given[-1])


def _keras(folder: Path) -> dict[str, str]:
    """The Keras that wrote the model, where it is one of Keras 2."""
    path = folder / "keras_metadata.pb"
    found = _KERAS_VERSION.search(path.read_bytes()) if path.is_file() else None
    return {"keras": found[1].decode()} if found else {}
