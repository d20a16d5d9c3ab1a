"""Converts JSON values to arrays of a declared dtype.

Source of the rules and the messages: FillTensorProto and what it calls in tensorflow_serving/util/json_tensor.cc.
"""

import base64
import binascii
import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from portable_model_server.api.json_documents import is_object, shown, too_large, type_name
from portable_model_server.errors import ServingError, invalid
from portable_model_server.serving.prediction import dtype_name
from serving_api.messages import DataType
from serving_api.tensors import DTYPE_STRING, DTYPES, MAX_RANK

# What REST can carry: TensorFlow Serving's JSON has no half and no uint16, in neither direction.
JSON_DTYPES = {
    number: kind for number, (kind, _) in DTYPES.items() if number not in (DataType.DT_HALF, DataType.DT_UINT16)
}
_SPACE = dict.fromkeys(map(ord, " \t\n\v\f\r"))


class JsonConversionError(ServingError):
    """A JSON value does not fit its dtype or its place."""

    def __init__(self, message: str, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT) -> None:
        super().__init__(code, message)


def rows_to_array(rows: list[Any], dtype: int, key: str = "") -> NDArray[Any]:
    """Convert rows, which must all have the shape of the first one, to one array.

    Args:
        rows: At least one.
        dtype: TensorFlow's number of the array's dtype.
        key: What an error says after the number of the row.

    Raises:
        ServingError: A row does not fit; the message names the first one.
    """
    try:
        return to_array(rows, dtype)
    except JsonConversionError as error:
        position = _first_misfit(rows, dtype)
        reason = _misfit(rows[0], rows[position], dtype) or error
        raise invalid(f"Failed to process element: {position}{key} of 'instances' list. Error: {reason}") from None


def to_array(value: Any, dtype: int) -> NDArray[Any]:
    """Convert nested lists, or a single value, to an array.

    Numbers are rounded to the dtype, and are infinite where they are too large for a float; integers must fit.

    Args:
        value: What ``json_documents.parse`` returned, or a part of it.
        dtype: TensorFlow's number of the array's dtype.

    Raises:
        JsonConversionError: The lists have uneven sizes, a value is not of the dtype, or JSON has none for it.
        ServingError: A number is too large for a double.
    """
    shape = _shape(value)
    leaves = [value]
    for level, size in enumerate(shape):
        for item in leaves:
            if type(item) is not list:
                raise _misplaced(item, level, len(shape))
            if len(item) != size:
                raise JsonConversionError(
                    f"Encountered list at unexpected size: {len(item)} at level: {level} expected size: {size}"
                )
        leaves = list(chain.from_iterable(leaves))
    if list in set(map(type, leaves)):
        raise JsonConversionError(f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)}")
    return _convert(leaves, dtype).reshape(shape)


def _shape(value: Any) -> list[int]:
    """The shape that the first values have."""
    shape: list[int] = []
    while type(value) is list:
        shape.append(len(value))
        if len(shape) > MAX_RANK:
            raise JsonConversionError(f"JSON Value: lists nested deeper than {MAX_RANK}")
        if not value:
            break
        value = value[0]
    return shape


def _misplaced(value: Any, level: int, rank: int) -> JsonConversionError:
    return JsonConversionError(
        f"JSON Value: {shown(value)} found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {rank}"
    )


def _convert(leaves: list[Any], dtype: int) -> NDArray[Any]:
    """Convert a flat list of values, each of which must be of the dtype."""
    if dtype not in JSON_DTYPES:
        value = shown(leaves[0]) if leaves else "[]"
        raise JsonConversionError(
            f"Conversion of JSON Value: {value} to type: {dtype_name(dtype)}", grpc.StatusCode.UNIMPLEMENTED
        )
    kind: type[Any] = JSON_DTYPES[dtype]
    if dtype == DTYPE_STRING:
        return _strings(leaves)
    if issubclass(kind, np.floating):
        return _floats(leaves, dtype)
    if wrong := set(map(type, leaves)) - {bool if kind is np.bool_ else int}:
        raise _type_error(next(leaf for leaf in leaves if type(leaf) in wrong), dtype)
    try:
        return np.array(leaves, kind)
    except OverflowError:
        limits = np.iinfo(kind)
        raise _type_error(next(leaf for leaf in leaves if not limits.min <= leaf <= limits.max), dtype) from None


def _floats(leaves: list[Any], dtype: int) -> NDArray[Any]:
    if wrong := {kind for kind in set(map(type, leaves)) if kind is bool or not issubclass(kind, (int, float))}:
        raise _type_error(next(leaf for leaf in leaves if type(leaf) in wrong), dtype)
    try:
        doubles = np.array(leaves, np.float64)
    except OverflowError:  # of a whole number
        raise too_large() from None
    if any(type(leaves[index]) is float for index in np.flatnonzero(np.isinf(doubles))):
        raise too_large()
    with np.errstate(over="ignore"):
        return doubles.astype(JSON_DTYPES[dtype])


def _strings(leaves: list[Any]) -> NDArray[Any]:
    array = np.empty(len(leaves), dtype=object)
    for index, leaf in enumerate(leaves):
        if isinstance(leaf, str):
            array[index] = leaf.encode("utf-8", "surrogatepass")
        elif isinstance(leaf, dict):
            array[index] = _decoded(leaf)
        else:
            raise _type_error(leaf, DTYPE_STRING)
    return array


def _decoded(value: dict[str, Any]) -> bytes:
    """The bytes of ``{"b64": "..."}``, with the liberties of absl::Base64Unescape: space, dots, no padding at all."""
    if is_object(value):
        raise JsonConversionError(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    text = value["b64"].translate(_SPACE)
    digits = text.rstrip("=.")
    missing = -len(digits) % 4
    try:
        if len(text) - len(digits) not in (0, missing):
            raise ValueError("wrong padding")
        return base64.b64decode(digits + "=" * missing, validate=True)
    except (binascii.Error, ValueError):
        raise JsonConversionError("Unable to base64 decode") from None


def _type_error(value: Any, dtype: int) -> JsonConversionError:
    return JsonConversionError(
        f"JSON Value: {shown(value)} Type: {type_name(value)} is not of expected type: {dtype_name(dtype)}"
    )


def _first_misfit(rows: Sequence[Any], dtype: int) -> int:
    """The index of the first row that does not fit, by bisection: whoever sends millions of them waits no longer."""
    low, high = 0, len(rows)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            to_array([rows[0], *rows[low:middle]], dtype)
            low = middle
        except JsonConversionError:
            high = middle
    return low


def _misfit(first: Any, row: Any, dtype: int) -> JsonConversionError | None:
    """Why a row does not fit; None if it does."""
    try:
        expected, shape = to_array(first, dtype).shape, to_array(row, dtype).shape
    except JsonConversionError as error:
        return error
    if math.prod(shape) != math.prod(expected):
        return JsonConversionError(f"Expecting tensor size: {math.prod(expected)} but got: {math.prod(shape)}")
    if shape != expected:
        return JsonConversionError(f"Expecting shape {_bracketed(expected)} but got: {_bracketed(shape)}")
    return None


def _bracketed(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
