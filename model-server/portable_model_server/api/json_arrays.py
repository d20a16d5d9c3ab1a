"""Converts JSON values to arrays of a declared dtype, without loss.

Source of the rules and the messages: tensorflow_serving/util/json_tensor.cc.
"""

import base64
import binascii
import json
import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from portable_model_server.errors import ServingError
from portable_model_server.serving.prediction import dtype_name
from serving_api.tensors import DTYPE_STRING, DTYPES, MAX_RANK

_JSON_TYPES = {
    type(None): "Null",
    bool: "Bool",
    int: "Number",
    float: "Number",
    str: "String",
    list: "Array",
    dict: "Object",
}
_MAX_SHOWN = 100  # characters of a value that an error repeats


class JsonConversionError(ServingError):
    """A JSON value does not fit its dtype or its place.

    Attributes:
        index: Index of the value among those of its level of nesting.
        size: Number of values of that level.
    """

    def __init__(
        self, message: str, index: int, size: int, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT
    ) -> None:
        super().__init__(code, message)
        self.index = index
        self.size = size

    def row(self, rows: Sequence[Any]) -> int:
        """Return the index of the row that contains the value."""
        return self.index * len(rows) // max(self.size, 1)


def to_array(value: Any, dtype: int) -> NDArray[Any]:
    """Convert nested lists, or a single value, to an array.

    Args:
        value: What ``json.loads`` returned.
        dtype: TensorFlow's number of the array's dtype.

    Raises:
        JsonConversionError: The lists have uneven sizes, or a value is not of the dtype.
    """
    shape: list[int] = []
    leaves = [value]
    while leaves and type(leaves[0]) is list:
        size = len(leaves[0])
        for index, item in enumerate(leaves):
            if type(item) is not list:
                raise JsonConversionError(f"JSON Value: {shown(item)} found at incorrect level", index, len(leaves))
            if len(item) != size:
                message = (
                    f"Encountered list at unexpected size: {len(item)} at level: {len(shape)} expected size: {size}"
                )
                raise JsonConversionError(message, index, len(leaves))
        shape.append(size)
        if len(shape) > MAX_RANK:
            raise JsonConversionError(f"JSON Value: lists nested deeper than {MAX_RANK}", 0, 1)
        leaves = list(chain.from_iterable(leaves))
    return _convert(leaves, dtype).reshape(shape)


def _convert(leaves: list[Any], dtype: int) -> NDArray[Any]:
    """Convert a flat list of values, each of which must be of the dtype without loss."""
    if dtype not in DTYPES:
        raise JsonConversionError(
            f"Conversion of JSON to type: {dtype_name(dtype)}", 0, 1, grpc.StatusCode.UNIMPLEMENTED
        )
    kind: type[Any] = DTYPES[dtype][0]
    if dtype == DTYPE_STRING:
        return _strings(leaves)
    if issubclass(kind, np.floating):
        _require(leaves, dtype, {int, float})
        return _floats(leaves, dtype)
    _require(leaves, dtype, {bool} if kind is np.bool_ else {int})
    try:
        return np.array(leaves, kind)
    except OverflowError:
        limits = np.iinfo(kind)
        index = next(index for index, leaf in enumerate(leaves) if not limits.min <= leaf <= limits.max)
        raise _type_error(leaves, index, dtype) from None


def _floats(leaves: list[Any], dtype: int) -> NDArray[Any]:
    limits = np.finfo(np.dtype(DTYPES[dtype][0]))
    # Source of both bounds: IsLosslessDecimal in json_tensor.cc.
    largest, exact = float(limits.max), 2 ** (limits.nmant + 1)
    for index, leaf in enumerate(leaves):
        too_large = abs(leaf) >= exact if type(leaf) is int else largest < abs(leaf) != math.inf
        if too_large:
            message = f"Cannot convert JSON value: {shown(leaf)} to {dtype_name(dtype)} without loss of precision."
            raise JsonConversionError(message, index, len(leaves))
    return np.array(leaves, limits.dtype)


def _strings(leaves: list[Any]) -> NDArray[Any]:
    array = np.empty(len(leaves), dtype=object)
    for index, leaf in enumerate(leaves):
        if is_object(leaf) or not isinstance(leaf, (str, dict)):
            raise _type_error(leaves, index, DTYPE_STRING)
        if isinstance(leaf, str):
            array[index] = leaf.encode("utf-8", "surrogatepass")
            continue
        try:
            # Both alphabets are allowed and padding may be missing, as with absl::Base64Unescape.
            text = leaf["b64"].translate(str.maketrans("-_", "+/")).rstrip("=")
            array[index] = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise JsonConversionError("Unable to base64 decode", index, len(leaves)) from None
    return array


def is_object(value: Any) -> bool:
    """Whether a value is an object other than ``{"b64": "..."}``, which stands for a string."""
    return isinstance(value, dict) and not (len(value) == 1 and isinstance(value.get("b64"), str))


def _require(leaves: list[Any], dtype: int, types: set[type]) -> None:
    if not types.issuperset(map(type, leaves)):
        raise _type_error(leaves, next(index for index, leaf in enumerate(leaves) if type(leaf) not in types), dtype)


def _type_error(leaves: list[Any], index: int, dtype: int) -> JsonConversionError:
    leaf = leaves[index]
    message = f"JSON Value: {shown(leaf)} Type: {_JSON_TYPES[type(leaf)]} is not of expected type: {dtype_name(dtype)}"
    return JsonConversionError(message, index, len(leaves))


def shown(value: Any) -> str:
    """Return a value in the form in which an error repeats it: never a whole document."""
    if isinstance(value, (list, dict)):
        return "[...]" if isinstance(value, list) else "{...}"
    text = json.dumps(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
