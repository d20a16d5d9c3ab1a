"""Builds every PredictRequest: those of the gateway, of training, and of the warmup file."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving_api.messages import PredictRequest, TensorProto
from serving_api.tensors import declare, from_array


def predict_request(
    model: str,
    signature: str,
    inputs: Mapping[str, NDArray[Any] | TensorProto],
    outputs: Iterable[str] = (),
    version: int | str | None = None,
) -> PredictRequest:
    """A request for a prediction.

    Args:
        model: The model's name.
        signature: The signature to run.
        inputs: By alias, arrays of any dtype in ``tensors.DTYPES``, or tensors that are encoded already.
        outputs: The aliases of the outputs to compute; none stands for all of them.
        version: The model's version, or a label of one; None leaves the choice to the server.

    Raises:
        TensorError: An array's dtype has no counterpart.
    """
    request = PredictRequest(output_filter=outputs)
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if isinstance(version, str):
        request.model_spec.version_label = version
    elif version is not None:
        request.model_spec.version.value = version
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(value if isinstance(value, TensorProto) else from_array(value))
    return request


def serialized_predict_request(
    model: str,
    signature: str,
    alias: str,
    parts: Sequence[NDArray[Any]],
    outputs: tuple[str, ...],
    version: int | str | None = None,
) -> bytes:
    """The bytes of a PredictRequest with one input, whose values are copied once; a message takes five copies of them.

    Args:
        model: The model's name.
        signature: The signature to run.
        alias: The input's alias.
        parts: The input, in parts that lie one behind the other in its first dimension; at least one. All have the
            same dtype, a numeric one of ``tensors.DTYPES``.
        outputs: The aliases of the outputs to compute; none stands for all of them.
        version: The model's version, or a label of one; None leaves the choice to the server.

    Raises:
        TensorError: The dtype has no counterpart.
    """
    first = parts[0]
    shape = (sum(len(part) for part in parts), *first.shape[1:])
    head = _head(model, signature, alias, first.dtype, shape, outputs, version)
    # Parts that are contiguous, as they usually are, are not copied before.
    return b"".join([head, *(np.ascontiguousarray(part).data for part in parts)])


@lru_cache(maxsize=256)
def _head(
    model: str,
    signature: str,
    alias: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    outputs: tuple[str, ...],
    version: int | str | None,
) -> bytes:
    """What precedes the input's values, if the input comes last, and ``tensor_content`` last in the input."""
    size = int(np.prod(shape)) * dtype.itemsize
    tensor = declare(dtype, shape).SerializeToString() + _tag(TensorProto, "tensor_content", size)
    # A map's entry is a message: its key is field 1, its value field 2.
    entry = b"\x0a" + _varint(len(alias.encode())) + alias.encode() + b"\x12" + _varint(len(tensor) + size) + tensor
    request = predict_request(model, signature, {}, outputs, version).SerializeToString()
    return request + _tag(PredictRequest, "inputs", len(entry) + size) + entry


def _tag(message: type[PredictRequest] | type[TensorProto], field: str, size: int) -> bytes:
    """What precedes the bytes of a field that has so many of them."""
    number = message.DESCRIPTOR.fields_by_name[field].number
    return _varint(number << 3 | 2) + _varint(size)


def _varint(number: int) -> bytes:
    """An integer as protobuf writes it: seven bits a byte, the lowest first; the top bit is set in all but the last."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
