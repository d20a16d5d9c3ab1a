"""The body of an inference request: its JSON, and the tensor that may stand behind it."""

from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from gateway.http.open_inference.messages import InferenceRequest, PageParameters, RequestInput, RequestOutput
from gateway.http.options import read_options
from gateway.images.sent import InvalidRequest

JSON_LENGTH = "Inference-Header-Content-Length"  # of the JSON, in bytes, where a tensor follows it
_MAX_DIGITS = 12  # of that header
_MAX_SHAPE = 256  # characters of JSON
_MAX_OUTPUTS = 16 << 10  # characters of JSON
_request = msgspec.json.Decoder(InferenceRequest)
_shape = msgspec.json.Decoder(list[int])
_outputs = msgspec.json.Decoder(list[RequestOutput])
_USAGE = 'Send {"inputs": [{"name": ..., "shape": ..., "datatype": ..., "data": ...}]}.'


@dataclass(frozen=True)
class InputTensor:
    """A tensor as it was sent; its shape and its data may contradict each other, or the model.

    Attributes:
        name: Of the model's input.
        datatype: As the protocol calls it.
        shape: One number for each dimension, of any size.
        data: JSON text, or bytes as the binary tensor extension has them.
        is_binary: Which of the two.
    """

    name: str
    datatype: str
    shape: list[int]
    data: memoryview
    is_binary: bool


@dataclass(frozen=True)
class Inference:
    """What is asked.

    Attributes:
        tensor: The images.
        outputs: Names of the outputs that are wanted, and whether each comes as binary data; None means all.
        binary: Whether outputs come as binary data where nothing else is said.
        page: Which page of a stack or frame of a DICOM file is meant, from 1; None if the client does not say.
        id: To be repeated in the response.
    """

    tensor: InputTensor
    outputs: dict[str, bool] | None
    binary: bool
    page: int | None
    id: str | None


def read_inference(body: bytes, json_length: str) -> Inference:
    """Read a request.

    Args:
        body: The whole body.
        json_length: The header that says where its JSON ends; the empty text means that it is JSON to its end.

    Raises:
        InvalidRequest: It is no inference request, or asks for what this server does not do.
    """
    text, behind = _split(body, json_length)
    request = _decode(_request, text, "The JSON is not an inference request")
    parameters = request.parameters
    binary = parameters.binary_data_output if parameters else False
    (sent,) = request.inputs
    page = read_options(_page_texts(sent.parameters), _page_texts(parameters)).page
    return Inference(_tensor(sent, behind), _wanted(request.outputs, binary), binary, page, request.id)


def _split(body: bytes, json_length: str) -> tuple[memoryview, memoryview | None]:
    whole = memoryview(body)
    if not json_length:
        return whole, None
    is_number = json_length.isascii() and json_length.isdigit() and len(json_length) <= _MAX_DIGITS
    if not is_number or int(json_length) > len(body):
        raise InvalidRequest(
            f"The header {JSON_LENGTH} must be the length of the JSON in bytes, and no more than the body has."
        )
    return whole[: int(json_length)], whole[int(json_length) :]


def _decode(decoder: msgspec.json.Decoder[Any], text: memoryview | Raw, complaint: str) -> Any:
    try:
        return decoder.decode(text)
    except RecursionError:
        raise InvalidRequest(f"{complaint}: it is nested too deeply. {_USAGE}") from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"{complaint}: it is not UTF-8. {_USAGE}") from None
    except msgspec.DecodeError as error:  # which says where, and what should be there, but repeats no value
        raise InvalidRequest(f"{complaint}: {error}. {_USAGE}") from None


def _tensor(sent: RequestInput, behind: memoryview | None) -> InputTensor:
    parameters = sent.parameters
    if parameters and parameters.shared_memory_region is not None:
        raise InvalidRequest("Shared memory is not supported. Send the tensor in the request.")
    if len(memoryview(sent.shape)) > _MAX_SHAPE:
        raise InvalidRequest("The shape of the input is too long. Give one number for each dimension.")
    shape = _decode(_shape, sent.shape, "The shape of the input must be a list of whole numbers")
    text = None if sent.data is UNSET or bytes(memoryview(sent.data)[:4]) == b"null" else memoryview(sent.data)
    size = parameters.binary_data_size if parameters else None
    if size is None:
        if text is None:
            raise InvalidRequest(
                f"The input has no data. Give it data, or binary_data_size and the header {JSON_LENGTH}."
            )
        if behind:
            raise InvalidRequest("Bytes follow the JSON, but no input has the parameter binary_data_size. Give it one.")
        return InputTensor(sent.name, sent.datatype, shape, text, is_binary=False)
    if text is not None:
        raise InvalidRequest("The input has both data and binary_data_size. Give it one of them.")
    if behind is None:
        raise InvalidRequest(f"The input has binary_data_size, but the request has no header {JSON_LENGTH}. Set it.")
    if size != len(behind):
        raise InvalidRequest(
            f"binary_data_size must be the count of bytes behind the JSON, of which there are {len(behind):,}."
        )
    return InputTensor(sent.name, sent.datatype, shape, behind, is_binary=True)


def _page_texts(parameters: PageParameters | None) -> dict[str, str]:
    texts = {"page": parameters.page, "frame": parameters.frame} if parameters else {}
    return {name: str(value) for name, value in texts.items() if value is not None}


def _wanted(sent: Raw | msgspec.UnsetType, binary: bool) -> dict[str, bool] | None:
    """The outputs that are asked for, by name, and whether each is wanted as binary data."""
    if isinstance(sent, msgspec.UnsetType) or bytes(memoryview(sent)[:4]) == b"null":
        return None
    if len(memoryview(sent)) > _MAX_OUTPUTS:
        raise InvalidRequest("The list of outputs is too long. Name each output once, or leave the list out.")
    outputs: list[RequestOutput] = _decode(_outputs, sent, "The outputs must be a list of objects with a name")
    wanted = {}
    for output in outputs:
        parameters = output.parameters
        if parameters and parameters.shared_memory_region is not None:
            raise InvalidRequest("Shared memory is not supported. Take the outputs from the response.")
        if parameters and parameters.classification is not None:
            raise InvalidRequest('The parameter classification is not supported. Ask for the output "class" instead.')
        if output.name in wanted:
            raise InvalidRequest("An output is asked for twice. Name each output once.")
        is_binary = parameters.binary_data if parameters else None
        wanted[output.name] = binary if is_binary is None else is_binary
    return wanted or None
