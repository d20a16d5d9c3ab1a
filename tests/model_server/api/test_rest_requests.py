"""REST's JSON to arrays."""

import json
from typing import Any

import numpy as np
import pytest

from portable_model_server.api import rest_requests
from portable_model_server.engines.saved_model import TensorInfo
from portable_model_server.errors import ServingError

FLOAT, DOUBLE, INT32, UINT8, INT8, STRING, INT64, BOOL, HALF = 1, 2, 3, 4, 6, 7, 9, 10, 19


def read(document: Any, **dtypes: int) -> dict[str, Any]:
    inputs = {alias: TensorInfo(f"{alias}:0", dtype, None) for alias, dtype in dtypes.items()}
    return rest_requests.parse(json.dumps(document).encode()).arrays(inputs)


def check(array: Any, expected: Any, dtype: Any) -> None:
    assert array.dtype == dtype
    assert array.shape == np.shape(expected)
    np.testing.assert_array_equal(array, expected)


def test_rows() -> None:
    check(read({"instances": [[1, 2], [3, 4]]}, x=UINT8)["x"], [[1, 2], [3, 4]], np.uint8)
    check(read({"instances": [1, 2.5]}, x=FLOAT)["x"], [1, 2.5], np.float32)
    named = read({"instances": [{"a": 1, "b": [True, False]}, {"b": [False, True], "a": 2}]}, a=INT64, b=BOOL)
    check(named["a"], [1, 2], np.int64)
    check(named["b"], [[True, False], [False, True]], np.bool_)


def test_columns() -> None:
    check(read({"inputs": [[1, 2]]}, x=HALF)["x"], [[1, 2]], np.float16)
    check(read({"inputs": 5}, x=INT32)["x"], 5, np.int32)
    check(read({"inputs": []}, x=FLOAT)["x"], [], np.float32)
    check(read({"inputs": [[], []]}, x=FLOAT)["x"], [[], []], np.float32)
    named = read({"inputs": {"a": [1], "b": [[0.5]], "more": 1}}, a=INT8, b=DOUBLE)
    check(named["a"], [1], np.int8)
    check(named["b"], [[0.5]], np.float64)


def test_strings() -> None:
    document = {"instances": ["é", {"b64": "_-8"}, {"b64": "/+8="}]}
    assert read(document, x=STRING)["x"].tolist() == ["é".encode(), b"\xff\xef", b"\xff\xef"]
    assert read({"inputs": {"b64": "YQ=="}}, x=STRING)["x"].tolist() == b"a"
    assert read({"instances": [{"x": {"b64": "YQ=="}}]}, x=STRING)["x"].tolist() == [b"a"]


def test_what_json_has_no_numbers_for() -> None:
    request = rest_requests.parse(b'{"instances": [NaN, Infinity, -Infinity]}')
    array = request.arrays({"x": TensorInfo("x:0", FLOAT, None)})["x"]
    np.testing.assert_array_equal(array, [np.nan, np.inf, -np.inf])


@pytest.mark.parametrize(
    ("document", "dtype", "message"),
    [
        ({"instances": [1, [2]]}, FLOAT, "is not of expected type"),
        ({"instances": [[1], 2]}, FLOAT, "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT:"),
        ({"instances": [[1, 2], [3]]}, FLOAT, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ({"instances": [[1], ["b"], [3]]}, FLOAT, "element: 1 "),
        ({"instances": [True]}, FLOAT, "JSON Value: true Type: Bool is not of expected type: float"),
        ({"instances": [1.0]}, INT32, "JSON Value: 1.0 Type: Number is not of expected type: int32"),
        ({"instances": [1, 256]}, UINT8, "JSON Value: 256 Type: Number is not of expected type: uint8"),
        ({"instances": [-129]}, INT8, "expected type: int8"),
        ({"instances": [2**70]}, INT64, "expected type: int64"),
        ({"instances": [1]}, BOOL, "expected type: bool"),
        ({"instances": [None]}, FLOAT, "JSON Value: null Type: Null"),
        ({"instances": [1]}, STRING, "expected type: string"),
        ({"instances": [1e39]}, FLOAT, "Cannot convert JSON value: 1e+39 to float without loss of precision."),
        ({"instances": [2**24]}, FLOAT, "Cannot convert JSON value: 16777216 to float"),
        ({"instances": [10**400]}, DOUBLE, "without loss of precision"),
        ({"instances": [{"b64": "!"}]}, STRING, "Unable to base64 decode"),
        ({"instances": [{"b64": "a"}]}, STRING, "Unable to base64 decode"),
        ({"instances": [1]}, 8, "Conversion of JSON to type"),  # complex64
        ({"inputs": "x" * 5000}, FLOAT, "xxx..."),
        ({"inputs": json.loads("[" * 65 + "1" + "]" * 65)}, FLOAT, "nested deeper than 64"),
    ],
)
def test_what_does_not_fit(document: Any, dtype: int, message: str) -> None:
    with pytest.raises(ServingError) as caught:
        read(document, x=dtype)
    assert message in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"instances": [1]}, "instances is a plain list, but expecting list of objects"),
        ({"instances": [{"a": 1}]}, "keys must be equal to: a,b"),
        ({"instances": [{"a": 1, "b": 1, "c": 1}]}, "keys must be equal to: a,b"),
        ({"instances": [{"a": 1, "b": 1}, 1]}, "Expecting object but got list at item 1 of input list"),
        ({"instances": [{"a": 1, "b": "x"}]}, "Failed to process element: 0 key: b of 'instances' list."),
        ({"inputs": [1]}, "inputs is a plain value/list, but expecting an object"),
        ({"inputs": {"a": 1}}, "Missing named input: b in 'inputs' object."),
    ],
)
def test_several_inputs(document: Any, message: str) -> None:
    with pytest.raises(ServingError, match="INVALID_ARGUMENT") as caught:
        read(document, a=FLOAT, b=FLOAT)
    assert message in caught.value.message


def test_an_object_among_values() -> None:
    with pytest.raises(ServingError, match="Expecting value/list but got object at item 1"):
        read({"instances": [1, {"x": 2}]}, x=FLOAT)
