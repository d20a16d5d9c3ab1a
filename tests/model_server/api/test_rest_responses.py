"""The JSON of REST's responses."""

import json
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from portable_model_server.api.rest_responses import predictions
from portable_model_server.errors import ServingError


def rows(**outputs: Any) -> Any:
    return json.loads(predictions(outputs, by_row=True))["predictions"]


def columns(**outputs: Any) -> Any:
    return json.loads(predictions(outputs, by_row=False))["outputs"]


def test_one_output_stands_alone() -> None:
    assert rows(y=np.array([[1, 2], [3, 4]])) == [[1, 2], [3, 4]]
    assert columns(y=np.array([[1, 2], [3, 4]])) == [[1, 2], [3, 4]]
    assert columns(y=np.array(True)) is True


def test_several_outputs_stand_under_their_names() -> None:
    outputs = {"a": np.array([1, 2]), "b": np.array([[True], [False]])}
    assert rows(**outputs) == [{"a": 1, "b": [True]}, {"a": 2, "b": [False]}]
    assert columns(**outputs) == {"a": [1, 2], "b": [[True], [False]]}


def test_numbers_are_printed_shortest() -> None:
    for dtype in (np.float32, np.float64):
        assert predictions({"y": np.array([0.1, 3.0, 1e-5], dtype)[:2]}, by_row=True) == '{"predictions": [0.1, 3.0]}'
    largest = np.finfo(np.float32).max
    assert np.float32(rows(y=np.array([largest]))[0]) == largest


def test_what_json_has_no_numbers_for() -> None:
    text = predictions({"y": np.array([np.nan, np.inf, -np.inf], np.float32)}, by_row=True)
    assert text == '{"predictions": [NaN, Infinity, -Infinity]}'


def test_strings_and_bytes() -> None:
    values = np.array(["é".encode(), b"\xff"], dtype=object)
    assert rows(text=values) == ["é", "\ufffd"]
    assert rows(text_bytes=values) == [{"b64": "w6k="}, {"b64": "/w=="}]
    assert columns(text=values[:0]) == []


def test_rows_need_a_batch() -> None:
    with pytest.raises(ServingError, match="Tensor name: total has no shape information"):
        rows(total=np.array(1.0))
    with pytest.raises(ServingError, match="Tensor name: b has inconsistent batch size: 2 expecting: 1"):
        rows(a=np.array([1]), b=np.array([1, 2]))


def test_floats_are_the_numbers_that_tensorflow_serving_prints() -> None:
    values = np.array([[9e06, 999999.0, 0.5], [0.0003, 3e-05, 555557.5]], np.float32)
    assert rows(y=values) == [[9e06, 999999.0, 0.5], [0.0003, 3e-05, 555557.5]]


def test_batches_without_rows() -> None:
    assert rows(y=np.empty((0, 2), np.int32)) == []
    assert rows(a=np.empty((0, 1, 2), object), b=np.empty((0, 3, 4), np.float32)) == []
    with pytest.raises(ServingError, match="has inconsistent batch size: 1 expecting: 0"):
        rows(a=np.empty((0, 2), np.int32), b=np.array([[b"foo", b"bar"]], object))


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (np.float16, "half"),
        (np.uint16, "uint16"),
        (np.complex64, "complex64"),
        (tf.bfloat16.as_numpy_dtype, "bfloat16"),
        (tf.qint8.as_numpy_dtype, "qint8"),
        (tf.dtypes.experimental.int4.as_numpy_dtype, "int4"),
        (tf.dtypes.experimental.float8_e5m2.as_numpy_dtype, "float8_e5m2"),
    ],
)
def test_dtypes_that_json_has_no_values_for(dtype: Any, name: str) -> None:
    for read in (rows, columns):
        with pytest.raises(
            ServingError, match=f"INVALID_ARGUMENT: Failed to write JSON value for tensor type: {name}$"
        ):
            read(y=np.zeros(2, dtype))
        assert read(y=np.zeros(0, dtype)) == []
