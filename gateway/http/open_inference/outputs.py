"""Classifications as output tensors, and the response that holds them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from flask import Response
from numpy.typing import NDArray

from brain_tumor.metadata import ModelMetadata
from gateway.classify.classification import Classification
from gateway.http.open_inference.messages import (
    BOOL,
    BYTES,
    FP32,
    InferenceResponse,
    ResponseOutput,
    Tensor,
)
from gateway.http.open_inference.request import JSON_LENGTH, Inference
from gateway.images.sent import InvalidRequest
from gateway.model.responses import ServedModel

CLASS, PROBABILITIES, SCORE, FLAG = "class", "probabilities", "out_of_distribution", "out_of_distribution_flag"


@dataclass(frozen=True)
class _Elements:
    """One output: its elements as JSON has them, and as binary data."""

    array: NDArray[Any]
    binary: bytes


def declare(metadata: ModelMetadata) -> list[Tensor]:
    """The outputs of a model; a model without a threshold flags nothing."""
    tensors = [
        Tensor(CLASS, BYTES, [-1]),
        Tensor(PROBABILITIES, FP32, [-1, len(metadata.class_names)]),
        Tensor(SCORE, FP32, [-1]),
    ]
    return tensors if metadata.out_of_distribution_threshold is None else [*tensors, Tensor(FLAG, BOOL, [-1])]


def select(inference: Inference, metadata: ModelMetadata) -> dict[str, bool]:
    """The names of the outputs to respond with, in the client's order, and whether each comes as binary data.

    Raises:
        InvalidRequest: The model has no such output.
    """
    names = [tensor.name for tensor in declare(metadata)]
    if inference.outputs is None:
        return dict.fromkeys(names, inference.binary)
    if not inference.outputs.keys() <= set(names):
        raise InvalidRequest(f"The model has no such output. Its outputs are {', '.join(names)}.")
    return inference.outputs


def properties(metadata: ModelMetadata) -> dict[str, str]:
    """What a reader of the outputs must know: class names in the order of the probabilities (JSON), and the notice.

    The protocol's parameters are texts, numbers or true and false.
    """
    return {"class_names": msgspec.json.encode(metadata.class_names).decode(), "notice": metadata.notice}


def _of_files(classifications: Sequence[Classification]) -> dict[str, str]:
    """What the files say of the images, one item an image (JSON); some of it only if there is such a file."""
    facts = [classification.facts for classification in classifications]
    said: dict[str, list[Any]] = {"warnings": [file.warnings for file in facts]}
    if any(file.dicom for file in facts):
        said["dicom"] = [file.dicom for file in facts]
    if any(file.pages > 1 for file in facts):
        said |= {"page": [file.page for file in facts], "pages": [file.pages for file in facts]}
    return {name: msgspec.json.encode(items).decode() for name, items in said.items()}


def _label_of(classifications: Sequence[Classification]) -> dict[str, str]:
    """Which of two models made them, where there are two; it is one."""
    return {"label": classifications[0].label} if classifications[0].label else {}


def respond(inference: Inference, model: ServedModel, classifications: Sequence[Classification]) -> Response:
    """Make the response; ``model`` made all the classifications.

    Raises:
        InvalidRequest: The model has no such output: it has been replaced since the request was read.
    """
    elements = _elements(model.metadata, classifications)
    datatypes = {tensor.name: tensor.datatype for tensor in declare(model.metadata)}
    outputs, behind = [], []
    for name, is_binary in select(inference, model.metadata).items():
        array, binary = elements[name].array, elements[name].binary
        output = ResponseOutput(name, datatypes[name], list(array.shape))
        if is_binary:
            output.parameters = {"binary_data_size": len(binary)}
            behind.append(binary)
        else:
            output.data = array.ravel().tolist()
        outputs.append(output)
    text = msgspec.json.encode(
        InferenceResponse(
            model.name,
            str(model.version),
            outputs,
            {**properties(model.metadata), **_of_files(classifications), **_label_of(classifications)},
            msgspec.UNSET if inference.id is None else inference.id,
        )
    )
    if not behind:
        return Response(text, mimetype="application/json")
    headers = {JSON_LENGTH: str(len(text))}
    return Response(b"".join([text, *behind]), mimetype="application/octet-stream", headers=headers)


def _elements(metadata: ModelMetadata, classifications: Sequence[Classification]) -> dict[str, _Elements]:
    names = [metadata.class_names[classification.class_index] for classification in classifications]
    encoded = [name.encode() for name in names]
    threshold = metadata.out_of_distribution_threshold
    scores = [classification.out_of_distribution for classification in classifications]
    numbers = {
        PROBABILITIES: np.stack([classification.probabilities for classification in classifications]),
        SCORE: np.array(scores, np.float32),
        FLAG: np.array([threshold is not None and score > threshold for score in scores]),
    }
    return {
        CLASS: _Elements(np.array(names, object), b"".join(len(name).to_bytes(4, "little") + name for name in encoded)),
        **{
            name: _Elements(array, array.astype(array.dtype.newbyteorder("<")).tobytes())
            for name, array in numbers.items()
        },
    }
