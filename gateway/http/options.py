"""Options of a prediction, as the query, a form or JSON gives them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from gateway.http.operations import Parameter
from gateway.images.sent import OPTIONS, InvalidRequest

_YES = ("", "1", "true", "yes", "on")  # the empty text is ?explain
_NO = ("0", "false", "no", "off")
_MAX_DIGITS = 6  # of a page; more pages than any file has
_TYPES: Mapping[type, Any] = {bool: bool, int: Annotated[int, Meta(ge=1, lt=10**_MAX_DIGITS)]}
_MEANINGS = {
    "explain": "Also return an activation map: where in the image the model saw the class.",
    "page": "Which page of a file with several; 1 is the first.",
}
# In JSON, where clients also write 1, "true" or null.
_JSON_TYPES: Mapping[type, Any] = {
    bool: bool | Annotated[int, Meta(ge=0, le=1)] | Literal[(*_YES, *_NO)] | None,
    int: _TYPES[int] | Annotated[str, Meta(pattern=r"^\s*(0*[1-9][0-9]*)?\s*$")] | None,
}
JSON_TYPES = {name: _JSON_TYPES[kind] for name, kind in OPTIONS.items()}
PARAMETERS = tuple(Parameter(name, _MEANINGS[name], _TYPES[kind]) for name, kind in OPTIONS.items())


@dataclass(frozen=True)
class Options:
    """What a client asks for.

    Attributes:
        explain: Whether it wants overlays.
        page: Which page of a stack it means, from 1; None if it does not say.
    """

    explain: bool = False
    page: int | None = None


def read_options(query: Mapping[str, str], body: Mapping[str, str]) -> Options:
    """Read the options; what the query says counts before what the body says.

    Raises:
        InvalidRequest: An option has a value that means nothing.
    """
    said: dict[str, Any] = {}
    for texts in (body, query):  # also what does not count must mean something
        said |= {name: _READERS[OPTIONS[name]](name, text) for name, text in texts.items() if name in OPTIONS}
    return Options(**said)


def _flag(name: str, text: str) -> bool:
    text = text.strip().lower()
    if text not in _YES + _NO:
        raise InvalidRequest(f"{name} must be true or false. Write {name}=true, or leave it out.")
    return text in _YES


def _whole_number(name: str, text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and int(text)):
        raise InvalidRequest(f"{name} must be a whole number from 1. Write {name}=1 for the first, or leave it out.")
    return int(text)


_READERS: Mapping[type, Callable[[str, str], Any]] = {bool: _flag, int: _whole_number}
