"""REST's JSON to arrays: rows ("instances") and columns ("inputs"), strings as text or base64.

Source of the rules and the words: tensorflow_serving/util/json_tensor.cc.
"""

import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from portable_model_server.errors import ServingError, invalid
from portable_model_server.prediction import dtype_name
from portable_model_server.saved_model import TensorInfo
from serving_api.names import DEFAULT_SIGNATURE
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
# Largest text of a value that an error repeats.
_SHOWN = 100


@dataclass(frozen=True)
class JsonRequest:
    """A prediction's body, parsed but not yet held against a signature.

    Attributes:
        signature: its name.
        rows: "instances", or None.
        columns: "inputs", or None; its presence tells, not its value.
    """

    signature: str
    rows: list[Any] | None
    columns: Any

    @property
    def by_row(self) -> bool:
        """Whether the answer goes row by row."""
        return self.rows is not None

    def arrays(self, inputs: Mapping[str, TensorInfo]) -> dict[str, NDArray[Any]]:
        """The inputs of a signature.

        Raises:
            ServingError: the JSON does not fit them.
        """
        if not inputs:
            raise invalid(f"Failed to get input map for signature: {self.signature}")
        if self.rows is not None:
            return _from_rows(self.rows, inputs)
        return _from_columns(self.columns, inputs)


def parse(body: bytes) -> JsonRequest:
    """Read a prediction's body.

    Raises:
        ServingError: it is no JSON object, or has neither or both of "instances" and "inputs".
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except UnicodeDecodeError:
        raise invalid("JSON Parse error: the document is not UTF-8") from None
    except (RecursionError, ValueError):  # ValueError: a number of more than 4,300 digits
        raise invalid("JSON Parse error: the document is nested too deep or has too long a number") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_shown(document)} Is not object")
    signature = document.get("signature_name", "")
    if not isinstance(signature, str):
        raise invalid("JSON Value not formatted correctly. 'signature_name' key must be a string value.")
    if "instances" in document and "inputs" in document:
        raise invalid("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in document:
        rows = document["instances"]
        if not isinstance(rows, list):
            raise invalid("Excepting 'instances' to be an list/array")
        if not rows:
            raise invalid("No values in 'instances' array")
        return JsonRequest(signature or DEFAULT_SIGNATURE, rows, None)
    if "inputs" not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    return JsonRequest(signature or DEFAULT_SIGNATURE, None, document["inputs"])


def _from_rows(rows: list[Any], inputs: Mapping[str, TensorInfo]) -> dict[str, NDArray[Any]]:
    if not _is_object(rows[0]):
        if len(inputs) > 1:
            raise invalid(
                "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
                "tensorinfo_map"
            )
        for position, row in enumerate(rows):
            if _is_object(row):
                raise invalid(f"Expecting value/list but got object at item {position} of input list")
        ((alias, info),) = inputs.items()
        return {alias: _row_array(rows, info, "")}
    for position, row in enumerate(rows):
        if not _is_object(row):
            raise invalid(f"Expecting object but got list at item {position} of input list")
        if row.keys() != inputs.keys():
            raise invalid(
                f"Failed to process element: {position} of 'instances' list. JSON object: "
                f"keys must be equal to: {','.join(sorted(inputs))}"
            )
    return {alias: _row_array([row[alias] for row in rows], info, f" key: {alias}") for alias, info in inputs.items()}


def _row_array(values: list[Any], info: TensorInfo, key: str) -> NDArray[Any]:
    try:
        return _array(values, info.dtype)
    except _Misfit as error:
        message = f"Failed to process element: {error.row(values)}{key} of 'instances' list. Error: "
        raise ServingError(error.code, f"{message}{error}") from None


def _from_columns(columns: Any, inputs: Mapping[str, TensorInfo]) -> dict[str, NDArray[Any]]:
    if not _is_object(columns):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        columns = dict.fromkeys(inputs, columns)
    for alias in inputs:
        if alias not in columns:
            raise invalid(f"Missing named input: {alias} in 'inputs' object.")
    return {alias: _array(columns[alias], info.dtype) for alias, info in inputs.items()}


class _Misfit(ServingError):
    """A value that does not fit; knows where it stands among the leaves, so that its row can be told."""

    def __init__(self, message: str, position: int, of: int, code: Any = grpc.StatusCode.INVALID_ARGUMENT) -> None:
        super().__init__(code, message)
        self._position, self._of = position, of

    def row(self, rows: Sequence[Any]) -> int:
        return self._position * len(rows) // max(self._of, 1)


def _array(value: Any, dtype: int) -> NDArray[Any]:
    shape: list[int] = []
    leaves = [value]
    while leaves and type(leaves[0]) is list:
        size = len(leaves[0])
        for position, item in enumerate(leaves):
            if type(item) is not list:
                raise _Misfit(f"JSON Value: {_shown(item)} found at incorrect level", position, len(leaves))
            if len(item) != size:
                message = (
                    f"Encountered list at unexpected size: {len(item)} at level: {len(shape)} expected size: {size}"
                )
                raise _Misfit(message, position, len(leaves))
        shape.append(size)
        if len(shape) > MAX_RANK:
            raise _Misfit(f"JSON Value: lists nested deeper than {MAX_RANK}", 0, 1)
        leaves = list(chain.from_iterable(leaves))
    return _convert(leaves, dtype).reshape(shape)


def _convert(leaves: list[Any], dtype: int) -> NDArray[Any]:
    """One dimension of values, each of which must be of the dtype without loss."""
    if dtype not in DTYPES:
        raise _Misfit(f"Conversion of JSON to type: {dtype_name(dtype)}", 0, 1, grpc.StatusCode.UNIMPLEMENTED)
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
        position = next(i for i, leaf in enumerate(leaves) if not limits.min <= leaf <= limits.max)
        raise _type_error(leaves, position, dtype) from None


def _floats(leaves: list[Any], dtype: int) -> NDArray[Any]:
    limits = np.finfo(np.dtype(DTYPES[dtype][0]))
    # Source of both bounds: IsLosslessDecimal in json_tensor.cc.
    largest, exact = float(limits.max), 2 ** (limits.nmant + 1)
    for position, leaf in enumerate(leaves):
        too_large = abs(leaf) >= exact if type(leaf) is int else largest < abs(leaf) != math.inf
        if too_large:
            message = f"Cannot convert JSON value: {_shown(leaf)} to {dtype_name(dtype)} without loss of precision."
            raise _Misfit(message, position, len(leaves))
    return np.array(leaves, limits.dtype)


def _strings(leaves: list[Any]) -> NDArray[Any]:
    array = np.empty(len(leaves), dtype=object)
    for position, leaf in enumerate(leaves):
        if _is_object(leaf) or not isinstance(leaf, (str, dict)):
            raise _type_error(leaves, position, DTYPE_STRING)
        if isinstance(leaf, str):
            array[position] = leaf.encode("utf-8", "surrogatepass")
            continue
        try:
            # Both alphabets and missing padding pass, as with absl::Base64Unescape.
            text = leaf["b64"].translate(str.maketrans("-_", "+/")).rstrip("=")
            array[position] = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise _Misfit("Unable to base64 decode", position, len(leaves)) from None
    return array


def _is_object(value: Any) -> bool:
    """An object that is not ``{"b64": "..."}``, which stands for a string."""
    return isinstance(value, dict) and not (len(value) == 1 and isinstance(value.get("b64"), str))


def _require(leaves: list[Any], dtype: int, types: set[type]) -> None:
    if not types.issuperset(map(type, leaves)):
        raise _type_error(leaves, next(i for i, leaf in enumerate(leaves) if type(leaf) not in types), dtype)


def _type_error(leaves: list[Any], position: int, dtype: int) -> _Misfit:
    leaf = leaves[position]
    message = f"JSON Value: {_shown(leaf)} Type: {_JSON_TYPES[type(leaf)]} is not of expected type: {dtype_name(dtype)}"
    return _Misfit(message, position, len(leaves))


def _shown(value: Any) -> str:
    """A value as an error repeats it: never a whole document."""
    if isinstance(value, (list, dict)):
        return "[...]" if isinstance(value, list) else "{...}"
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
