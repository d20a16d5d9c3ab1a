"""Reads JSON as TensorFlow Serving's parser does, which takes more than the standard.

Source: ParseJson in tensorflow_serving/util/json_tensor.cc, and the parser that it calls, RapidJSON 1.1.0.
"""

import json
import re
from typing import Any

from portable_model_server.errors import ServingError, invalid

_SPACE = re.compile(r"[ \t\n\r]*")
# What RapidJSON takes beside NaN, Infinity and -Infinity, which Python's parser takes too.
_OTHER_CONSTANT = re.compile(r"-?Inf(?!i)|-NaN")
# A string, even one that does not end: each character is then looked at once, whatever a client sends.
_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"?'
_STRING_OR_CONSTANT = re.compile(rf"{_STRING}|{_OTHER_CONSTANT.pattern}", re.DOTALL)
_SPELLED_OUT = {"Inf": "Infinity", "-Inf": "-Infinity", "-NaN": "NaN"}
# RapidJSON's words for the faults that Python's parser names.
_FAULTS = {
    "Expecting value": "Invalid value.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Expecting ',' delimiter": "Missing a comma, or a bracket that closes",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
}
_MAX_SHOWN = 100  # characters of a value that an error repeats


class Constant(float):
    """A number that the text spells out as NaN or Infinity: a plain float that is infinite was a number too large."""


_DECODER = json.JSONDecoder(parse_constant=Constant)


def parse(body: bytes) -> dict[str, Any]:
    """Read the object at the start of a body; whatever follows it is ignored.

    Raises:
        ServingError: There is none, or it is nested deeper than Python's parser goes, which is at least 900 levels.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise invalid("JSON Parse error: the document is not UTF-8") from None
    try:
        document = _first_value(text)
    except json.JSONDecodeError as error:
        if not _OTHER_CONSTANT.match(text, error.pos):
            raise _fault(error) from None
        try:
            document = _first_value(_STRING_OR_CONSTANT.sub(lambda match: _SPELLED_OUT.get(match[0], match[0]), text))
        except json.JSONDecodeError as other:
            raise _fault(other) from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {shown(document)} Is not object")
    return document


def _first_value(text: str) -> Any:
    space = _SPACE.match(text)
    start = space.end() if space else 0
    if start == len(text):
        raise invalid("JSON Parse error: The document is empty")
    try:
        return _DECODER.raw_decode(text, start)[0]
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise invalid("JSON Parse error: the document is nested too deep") from None
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        raise too_large() from None


def _fault(error: json.JSONDecodeError) -> ServingError:
    offset = len(error.doc[: error.pos].encode())
    return invalid(f"JSON Parse error: {_FAULTS.get(error.msg, error.msg)} at offset: {offset}")


def too_large() -> ServingError:
    """Return the error for a number beyond what a double can hold."""
    return invalid("JSON Parse error: Number too big to be stored in double.")


def is_object(value: Any) -> bool:
    """Whether a value is an object other than ``{"b64": "..."}``, which stands for a string."""
    return isinstance(value, dict) and not (len(value) == 1 and isinstance(value.get("b64"), str))


def type_name(value: Any) -> str:
    """Return the name that errors give to a value's type; true and false are two of them."""
    if isinstance(value, bool) or value is None:
        return {True: "True", False: "False", None: "Null"}[value]
    names: dict[type[Any], str] = {str: "String", list: "Array", dict: "Object"}
    return names.get(type(value), "Number")


def shown(value: Any) -> str:
    """Return a value in the form in which an error repeats it: never a whole document."""
    if isinstance(value, (list, dict)):
        return "[...]" if isinstance(value, list) else "{...}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
