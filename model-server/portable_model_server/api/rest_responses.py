"""Converts arrays and messages to REST's JSON.

Source of the rules: tensorflow_serving/util/json_tensor.cc and model_servers/http_rest_api_util.cc.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf import json_format
from google.protobuf.message import Message
from numpy.typing import NDArray

from portable_model_server.api.json_arrays import JSON_DTYPES
from portable_model_server.api.responses import SIGNATURE_DEF
from portable_model_server.errors import invalid
from serving_api.messages import GetModelMetadataResponse, GetModelStatusResponse, SignatureDefMap

# Strings of outputs with this suffix are bytes and become base64.
_BYTES_SUFFIX = "_bytes"


def predictions(outputs: Mapping[str, NDArray[Any]], *, by_row: bool) -> str:
    """Return a prediction's JSON: ``{"predictions": [...]}`` by row, ``{"outputs": ...}`` by column.

    The values of a single output stand without its name; those of several outputs stand under their names.

    Raises:
        ServingError: JSON has no values for the dtype of an output; by row, an output is a scalar, or its batch size
            differs from that of the others.
    """
    if by_row:
        _check_batch(outputs)
    values = {alias: _values(alias, array) for alias, array in sorted(outputs.items())}
    if len(values) == 1:
        (content,) = values.values()
    elif by_row:
        content = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    else:
        content = values
    return json.dumps({"predictions" if by_row else "outputs": content}, ensure_ascii=False)


def status(response: GetModelStatusResponse) -> str:
    """Return the JSON of a model's states."""
    return json.dumps(_fields(response), indent=1)


def metadata(response: GetModelMetadataResponse) -> str:
    """Return the JSON of a model's metadata, with its packed signatures unpacked."""
    signatures = SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(signatures)
    return json.dumps(
        {"model_spec": _fields(response.model_spec), "metadata": {SIGNATURE_DEF: _fields(signatures)}}, indent=1
    )


def error(message: str) -> str:
    """Return the JSON of an error."""
    return json.dumps({"error": message})


def _fields(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _check_batch(outputs: Mapping[str, NDArray[Any]]) -> None:
    size = None
    for alias, array in sorted(outputs.items()):
        if not array.ndim:
            raise invalid(f"Tensor name: {alias} has no shape information ")
        if size not in (None, len(array)):
            raise invalid(f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {size}")
        size = len(array)


def _values(alias: str, array: NDArray[Any]) -> Any:
    if array.dtype.kind in "SO":
        as_base64 = alias.endswith(_BYTES_SUFFIX)
        texts = np.empty(array.shape, dtype=object)
        for index in np.ndindex(array.shape):
            value = bytes(array[index])
            texts[index] = (
                {"b64": base64.b64encode(value).decode()} if as_base64 else value.decode("utf-8", errors="replace")
            )
        return texts.tolist()
    if array.size and array.dtype.type not in JSON_DTYPES.values():
        raise invalid(f"Failed to write JSON value for tensor type: {_dtype_name(array.dtype)}")
    if array.dtype == np.float32:
        # By way of the shortest text that means the same float32: 0.1, not 0.10000000149011612.
        return array.astype(str).astype(np.float64).tolist()
    return array.tolist()


def _dtype_name(dtype: np.dtype[Any]) -> str:
    """TensorFlow's name of a dtype that numpy names otherwise; a quantized one is a field of that name."""
    return "half" if dtype == np.float16 else (dtype.names or (dtype.name,))[0]
