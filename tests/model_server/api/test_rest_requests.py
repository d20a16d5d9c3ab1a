"""REST's JSON to arrays, with the rules and the words of TensorFlow Serving's json_tensor.cc and its tests."""

import json
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from portable_model_server.api import json_arrays, rest_requests
from portable_model_server.engines.saved_model import TensorInfo
from portable_model_server.errors import ServingError

FLOAT, DOUBLE, INT32, UINT8, INT8, STRING, COMPLEX64, INT64, BOOL = 1, 2, 3, 4, 6, 7, 8, 9, 10
BFLOAT16, UINT16, HALF, UINT32, UINT64, INT4 = 14, 17, 19, 22, 23, 29
ELEMENT = "Failed to process element: {} of 'instances' list. Error: INVALID_ARGUMENT: {}"


def read(document: Any, **dtypes: int) -> dict[str, Any]:
    inputs = {alias: TensorInfo(f"{alias}:0", dtype, None) for alias, dtype in dtypes.items()}
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return rest_requests.parse(body).arrays(inputs)


def refusal(document: Any, **dtypes: int) -> ServingError:
    with pytest.raises(ServingError) as caught:
        read(document, **dtypes)
    assert len(caught.value.message) < 400
    return caught.value


def check(array: Any, expected: Any, dtype: Any) -> None:
    assert array.dtype == dtype
    assert array.shape == np.shape(expected)
    np.testing.assert_array_equal(array, expected)


def test_rows() -> None:
    check(read({"instances": [[1, 2], [3, 4]]}, x=UINT8)["x"], [[1, 2], [3, 4]], np.uint8)
    check(read({"instances": [1, 2.5]}, x=FLOAT)["x"], [1, 2.5], np.float32)
    check(read({"instances": [[], []]}, x=FLOAT)["x"], [[], []], np.float32)
    named = read({"instances": [{"a": 1, "b": [True, False]}, {"b": [False, True], "a": 2}]}, a=INT64, b=BOOL)
    check(named["a"], [1, 2], np.int64)
    check(named["b"], [[True, False], [False, True]], np.bool_)


def test_columns() -> None:
    check(read({"inputs": [[1, 2]]}, x=FLOAT)["x"], [[1, 2]], np.float32)
    check(read({"inputs": 5}, x=INT32)["x"], 5, np.int32)
    check(read({"inputs": []}, x=FLOAT)["x"], [], np.float32)
    check(read({"inputs": [[], []]}, x=FLOAT)["x"], [[], []], np.float32)
    named = read({"inputs": {"a": [1], "b": [[0.5]], "more": 1}}, a=INT8, b=DOUBLE)
    check(named["a"], [1], np.int8)
    check(named["b"], [[0.5]], np.float64)


def test_several_inputs_of_several_dtypes() -> None:
    body = b"""{"instances": [
        {"whole": [[1, 2], [3, 4]], "text": ["foo", "bar"], "single": [1.0, NaN], "double": [NaN]},
        {"whole": [[7, 8], [9, 0]], "text": ["baz", "bat"], "single": [2.0, Infinity], "double": [2.0]}
    ]}"""
    arrays = read(body, whole=INT32, text=STRING, single=FLOAT, double=DOUBLE)
    check(arrays["whole"], [[[1, 2], [3, 4]], [[7, 8], [9, 0]]], np.int32)
    assert arrays["text"].tolist() == [[b"foo", b"bar"], [b"baz", b"bat"]]
    check(arrays["single"], [[1, np.nan], [2, np.inf]], np.float32)
    check(arrays["double"], [[np.nan], [2]], np.float64)


def test_text_after_the_document_and_deep_nesting_are_of_no_account() -> None:
    check(read(b'{"instances": [[1, 2], [3, 4]]}X', x=INT32)["x"], [[1, 2], [3, 4]], np.int32)
    body = b'{"instances": [1], "nested": ' + b"[" * 800 + b"]" * 800 + b"}"
    check(read(body, x=INT32)["x"], [1], np.int32)
    nested = json.loads("[" * 800 + "]" * 800)
    assert "'signature_name' key must be a string value" in refusal({"signature_name": nested}, x=INT32).message


def test_strings() -> None:
    document = {"instances": ["é", {"b64": "/+8"}, {"b64": " /+\n8= "}, {"b64": "/+8."}]}
    assert read(document, x=STRING)["x"].tolist() == ["é".encode(), *[b"\xff\xef"] * 3]
    assert read({"inputs": {"b64": "YQ=="}}, x=STRING)["x"].tolist() == b"a"
    assert read({"instances": [{"x": {"b64": "YQ=="}}]}, x=STRING)["x"].tolist() == [b"a"]
    assert read({"instances": [[{"b64": "YQ"}], [{"b64": ""}]]}, x=STRING)["x"].tolist() == [[b"a"], [b""]]


def test_numbers_of_any_form_are_rounded_to_floats() -> None:
    for dtype, kind in ((FLOAT, np.float32), (DOUBLE, np.float64)):
        check(read({"instances": [1, 2.0, 3, 0.662, 5.003, 0]}, x=dtype)["x"], kind([1, 2, 3, 0.662, 5.003, 0]), kind)
        check(
            read({"instances": [1435774380, 2**24 + 1, 10**30]}, x=dtype)["x"],
            kind([1435774380, 2**24 + 1, 1e30]),
            kind,
        )
        check(read({"instances": [1435774380.0]}, x=dtype)["x"], kind([1435774380]), kind)


def test_numbers_beyond_a_float_are_infinite_or_zero() -> None:
    limits = np.finfo(np.float64)
    largest, smallest = float(limits.max), float(limits.smallest_normal)
    array = read({"instances": [largest, -largest, 10**39, smallest, -smallest]}, x=FLOAT)["x"]
    check(array, [np.inf, -np.inf, np.inf, 0, 0], np.float32)
    assert np.signbit(array).tolist() == [False, True, False, False, True]


@pytest.mark.parametrize("number", [b"1e309", b"-1e309", b"1" + b"0" * 309, b"1" + b"0" * 5000])
def test_numbers_beyond_a_double_are_no_json(number: bytes) -> None:
    for dtype in (FLOAT, DOUBLE):
        for body in (b'{"instances": [0, %b]}', b'{"inputs": %b}'):
            message = refusal(body % number, x=dtype).message
            assert message == "JSON Parse error: Number too big to be stored in double."


def test_what_json_has_no_numbers_for() -> None:
    body = b'{"instances": [NaN, Infinity, -Infinity, Inf, -Inf, -NaN]}'
    expected = [np.nan, np.inf, -np.inf, np.inf, -np.inf, np.nan]
    check(read(body, x=FLOAT)["x"], expected, np.float32)
    check(read(body, x=DOUBLE)["x"], expected, np.float64)
    assert "JSON Value: NaN Type: Number is not of expected type: int32" in refusal(body, x=INT32).message


@pytest.mark.parametrize(
    ("dtype", "least", "most"),
    [(UINT8, 0, 2**8 - 1), (INT8, -(2**7), 2**7 - 1), (INT32, -(2**31), 2**31 - 1), (INT64, -(2**63), 2**63 - 1),
     (UINT32, 0, 2**32 - 1), (UINT64, 0, 2**64 - 1)],
)  # fmt: skip
def test_whole_numbers_must_fit(dtype: int, least: int, most: int) -> None:
    assert read({"instances": [least, most]}, x=dtype)["x"].tolist() == [least, most]
    for number in (least - 1, most + 1):
        message = refusal({"instances": [least, number]}, x=dtype).message
        assert message.startswith(ELEMENT.format(1, f"JSON Value: {number} Type: Number is not of expected type: "))


# A row of the right kind, then rows and their errors.
ROWS = [
    (INT32, [[1, 2], [3, 4], [5, 6, 7]], 2, "Expecting tensor size: 2 but got: 3"),
    (INT32, [[1, 2], [3, 4], [[5, 6]]], 2, "Expecting shape [2] but got: [1,2]"),
    (INT32, [1, [1]], 1, "Expecting shape [] but got: [1]"),
    (INT32, [[1], 2], 1, "Expecting shape [1] but got: []"),
    (INT32, [[1, 2], ["a", "b"]], 1, 'JSON Value: "a" Type: String is not of expected type: int32'),
    (FLOAT, [[1], ["b"], [3]], 1, 'JSON Value: "b" Type: String is not of expected type: float'),
    (FLOAT, [1, 2, [3], "x"], 2, "Expecting shape [] but got: [1]"),
    (FLOAT, [True], 0, "JSON Value: true Type: True is not of expected type: float"),
    (INT32, [False], 0, "JSON Value: false Type: False is not of expected type: int32"),
    (FLOAT, [None], 0, "JSON Value: null Type: Null is not of expected type: float"),
    (INT32, [1.0], 0, "JSON Value: 1.0 Type: Number is not of expected type: int32"),
    (BOOL, [1], 0, "JSON Value: 1 Type: Number is not of expected type: bool"),
    (STRING, [1], 0, "JSON Value: 1 Type: Number is not of expected type: string"),
    (FLOAT, [{"b64": "YQ=="}], 0, "JSON Value: {...} Type: Object is not of expected type: float"),
    (STRING, ["a", [{"b": 1}]], 1, "JSON Value: {...} not formatted correctly for base64 data"),
    (STRING, [{"b64": "!"}], 0, "Unable to base64 decode"),
    (STRING, [{"b64": "a"}], 0, "Unable to base64 decode"),
    (STRING, [{"b64": "YQ="}], 0, "Unable to base64 decode"),
    (STRING, [{"b64": "_-8="}], 0, "Unable to base64 decode"),
    (STRING, [{"b64": "YWFh="}], 0, "Unable to base64 decode"),
    (FLOAT, [[[1], 2]], 0, "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
    (FLOAT, [[1, [2]]], 0, "Encountered list at unexpected level: 1 expected < 1"),
    (FLOAT, [[[1, 2], [3]]], 0, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
    (FLOAT, [[[], [1]]], 0, "Encountered list at unexpected size: 1 at level: 1 expected size: 0"),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "rows", "position", "message"), ROWS, ids=[message[:60] for *_, message in ROWS])
def test_the_first_row_that_does_not_fit(dtype: int, rows: list[Any], position: int, message: str) -> None:
    error = refusal({"instances": rows}, x=dtype)
    assert (error.code.name, error.message) == ("INVALID_ARGUMENT", ELEMENT.format(position, message))
    named = refusal({"instances": [{"x": row} for row in rows]}, x=dtype).message
    assert named == ELEMENT.format(position, message).replace(" of 'instances'", " key: x of 'instances'")


def test_one_of_very_many_rows_is_found_without_a_look_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    conversions = Mock(wraps=json_arrays.to_array)
    monkeypatch.setattr(json_arrays, "to_array", conversions)
    for position in (0, 1, 4_999, 9_999):
        rows: list[Any] = [[1]] * 10_000
        rows[position] = ["a"]
        message = refusal({"instances": rows}, x=FLOAT).message
        assert message == ELEMENT.format(position, 'JSON Value: "a" Type: String is not of expected type: float')
    assert conversions.call_count < 100


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([[1, 2], [3]], "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ([[1], 2], "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
        ([1, [2]], "Encountered list at unexpected level: 1 expected < 1"),
        ("x" * 5000, f'JSON Value: "{"x" * 99}... Type: String is not of expected type: float'),
        (json.loads("[" * 65 + "1" + "]" * 65), "JSON Value: lists nested deeper than 64"),
    ],
)
def test_columns_that_do_not_fit(columns: Any, message: str) -> None:
    assert str(refusal({"inputs": columns}, x=FLOAT)) == f"INVALID_ARGUMENT: {message}"


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (HALF, "half"),
        (UINT16, "uint16"),
        (BFLOAT16, "bfloat16"),
        (COMPLEX64, "complex64"),
        (11, "qint8"),
        (INT4, "int4"),
    ],
)
def test_dtypes_that_json_has_no_values_for(dtype: int, name: str) -> None:
    error = refusal({"inputs": [1]}, x=dtype)
    assert str(error) == f"UNIMPLEMENTED: Conversion of JSON Value: 1 to type: {name}"
    # In rows every error is one of the argument.
    error = refusal({"instances": [1]}, x=dtype)
    assert (error.code.name, error.message) == (
        "INVALID_ARGUMENT",
        f"Failed to process element: 0 of 'instances' list. Error: "
        f"UNIMPLEMENTED: Conversion of JSON Value: 1 to type: {name}",
    )


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"instances": [1]}, "instances is a plain list, but expecting list of objects as multiple input tensors "
         "required as per tensorinfo_map"),
        ({"instances": [{"a": 1}]}, "Failed to process element: 0 of 'instances' list. JSON object: {...} "
         "keys must be equal to: a,b"),
        ({"instances": [{"a": 1, "b": 1, "c": 1}]}, "Failed to process element: 0 key: c of 'instances' list. Error: "
         "INVALID_ARGUMENT: JSON object: does not have named input: c"),
        ({"instances": [{"a": 1, "b": 1}, [1]]}, "Expecting object but got list at item 1 of input list"),
        ({"instances": [{"a": [1], "b": 1}, {"a": [[1]], "b": 1}]}, "Failed to process element: 1 key: a of "
         "'instances' list. Error: INVALID_ARGUMENT: Expecting shape [1] but got: [1,1]"),
        ({"instances": [{"a": [1, 2], "b": 1}, {"a": [1], "b": 1}]}, "Failed to process element: 1 key: a of "
         "'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 2 but got: 1"),
        ({"inputs": [1]}, "inputs is a plain value/list, but expecting an object as multiple input tensors required "
         "as per tensorinfo_map"),
        ({"inputs": {"a": 1}}, "Missing named input: b in 'inputs' object."),
    ],
)  # fmt: skip
def test_several_inputs(document: Any, message: str) -> None:
    assert str(refusal(document, a=FLOAT, b=FLOAT)) == f"INVALID_ARGUMENT: {message}"


def test_an_object_among_values() -> None:
    message = refusal({"instances": [["baz", "bar"], {"x": ["baz", "bat"]}]}, x=STRING).message
    assert message == "Expecting value/list but got object at item 1 of input list"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"instances": [1], "inputs": [1]}, "JSON Value: {...} Not formatted correctly expecting only one of 'inputs' "
         "or 'instances' keys to exist"),
        ({"instances": 1}, "JSON Value: {...} Expecting 'instances' to be an list/array"),
        ({"instances": []}, "JSON Value: {...} No values in 'instances' array"),
        ({"signature_name": 5, "instances": [1]}, "JSON Value: {...} not formatted correctly. 'signature_name' key "
         "must be a string value."),
    ],
)  # fmt: skip
def test_documents_of_another_form(document: Any, message: str) -> None:
    assert str(refusal(document, x=FLOAT)) == f"INVALID_ARGUMENT: {message}"


def test_a_signature_without_inputs() -> None:
    assert refusal({"inputs": 1}).message == "Failed to get input map for signature: DEFAULT"
    assert refusal({"signature_name": "a", "inputs": 1}).message == "Failed to get input map for signature: a"
