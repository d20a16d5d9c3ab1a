"""JSON as TensorFlow Serving's parser takes it, and in whose words it refuses."""

import math
from typing import Any

import pytest

from portable_model_server.api import json_documents
from portable_model_server.errors import ServingError


def parsed(text: str | bytes) -> Any:
    return json_documents.parse(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize("text", ['{"a": 1}{"a": 2}', '{"a": 1}X', '{"a": 1} ]', ' \r\n\t{"a": 1}', '\ufeff{"a": 1}'])
def test_what_stands_around_the_document(text: str) -> None:
    assert parsed(text) == {"a": 1}


def test_constants() -> None:
    text = '{"a": [NaN, -NaN, Infinity, -Infinity, Inf, -Inf], "b": "Inf -NaN \\" Inf", "Inf": "\\\\"}'
    document = parsed(text)
    assert list(map(str, document["a"])) == ["nan", "nan", "inf", "-inf", "inf", "-inf"]
    assert {type(value) for value in document["a"]} == {json_documents.Constant}
    assert document["b"] == 'Inf -NaN " Inf'
    assert document["Inf"] == "\\"


def test_a_number_too_large_is_no_constant() -> None:
    assert [(value, type(value)) for value in parsed('{"a": [1e400]}')["a"]] == [(math.inf, float)]
    with pytest.raises(ServingError, match="Number too big to be stored in double"):
        parsed('{"a": [1' + "0" * 5000 + "]}")


def test_nesting() -> None:
    for opening, closing in ("[]", ('{"a":', "}")):
        document = parsed('{"instances": [1], "nested": ' + opening * 800 + "1" + closing * 800 + "}")
        assert document["instances"] == [1]
        for depth in (100_000, 1_000_000):
            with pytest.raises(
                ServingError, match="INVALID_ARGUMENT: JSON Parse error: the document is nested too deep"
            ):
                parsed('{"nested": ' + opening * depth + "1" + closing * depth + "}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The document is empty"),
        (" \n", "The document is empty"),
        ("instances = [1, 2]", "Invalid value. at offset: 0"),
        ('{"é": x}', "Invalid value. at offset: 7"),
        ('{"a": -Infinit}', "Invalid value. at offset: 6"),
        ('{"a": [Inf, x]}', "Invalid value. at offset: "),
        ("{", "Missing a name for object member. at offset: 1"),
        ("{1", "Missing a name for object member. at offset: 1"),
        ('{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        ('{"a": [1 2]}', "Missing a comma, or a bracket that closes at offset: 9"),
        ('{"a', "Missing a closing quotation mark in string. at offset: 1"),
        (b"\xff\xfe{\x00}\x00", "the document is not UTF-8"),
    ],
)
def test_what_is_no_json(text: str | bytes, message: str) -> None:
    with pytest.raises(ServingError) as caught:
        parsed(text)
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert caught.value.message.startswith(f"JSON Parse error: {message}")


@pytest.mark.parametrize("text", ["[1]", "1", '"a"', "null", "Inf"])
def test_what_is_no_object(text: str) -> None:
    with pytest.raises(ServingError, match=r"JSON Value: .* Is not object"):
        parsed(text)


def test_quotes_cost_no_more_than_their_number() -> None:
    """Were each of them tried as the start of a string, this would take hours."""
    with pytest.raises(ServingError, match="Missing a closing quotation mark"):
        parsed('{"a": [Inf, "' + '\\"' * 1_000_000)
