"""Options of a prediction, as the query, a form or JSON gives them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

from gateway.http.operations import Parameter
from gateway.images.sent import OPTIONS, InvalidRequest

_YES = ("", "1", "true", "yes", "on")  # the empty text is ?explain
_NO = ("0", "false", "no", "off")
_MAX_DIGITS = 6  # of a page or frame; no file has more
_Page: TypeAlias = Annotated[int, Meta(ge=1, lt=10**_MAX_DIGITS)]
_TYPES: Mapping[type, Any] = {bool: bool, int: _Page}
MEANINGS = {
    "explain": "Also return an activation map: where in the image the model saw the class.",
    "page": "Which image of a file with several; 1 is the first.",
    "frame": "The same as page: which frame of a DICOM file; without it, the middle one.",
    "view": "Also return the image as the model saw it.",
}
# In JSON, where clients also write 1, "true" or null. No neighbours in the pattern take the same characters: that would
# take the square of a text's length, and no other thread runs meanwhile.
JsonPage: TypeAlias = _Page | Annotated[str, Meta(pattern=r"^\s*(0*[1-9][0-9]*\s*)?$")] | None
_JSON_TYPES: Mapping[type, Any] = {
    bool: bool | Annotated[int, Meta(ge=0, le=1)] | Literal[(*_YES, *_NO)] | None,
    int: JsonPage,
}
JSON_TYPES = {name: _JSON_TYPES[kind] for name, kind in OPTIONS.items()}
PARAMETERS = tuple(Parameter(name, MEANINGS[name], _TYPES[kind]) for name, kind in OPTIONS.items())


@dataclass(frozen=True)
class Options:
    """What a client asks for.

    Attributes:
        explain: Whether it wants overlays.
        page: Which page of a stack or frame of a DICOM file it means, from 1; None if it does not say. Both names mean
            the same: a client need not know which one a format uses.
        view: Whether it wants the images as the model saw them.
    """

    explain: bool = False
    page: int | None = None
    view: bool = False


def read_options(query: Mapping[str, str], body: Mapping[str, str]) -> Options:
    """Read the options; what the query says counts before what the body says.

    Raises:
        InvalidRequest: An option has a value that means nothing.
    """
    options = Options()
    for texts in (body, query):  # also what does not count must mean something
        if "explain" in texts:
            options = replace(options, explain=_flag("explain", texts["explain"]))
        if "view" in texts:
            options = replace(options, view=_flag("view", texts["view"]))
        options = replace(options, page=_page(texts) or options.page)
    return options


def _flag(name: str, text: str) -> bool:
    text = text.strip().lower()
    if text not in _YES + _NO:
        raise InvalidRequest(f"{name} must be true or false. Write {name}=true, or leave it out.")
    return text in _YES


def _page(texts: Mapping[str, str]) -> int | None:
    page, frame = (_whole_number(name, texts.get(name, "")) for name in ("page", "frame"))
    if page and frame and page != frame:
        raise InvalidRequest("page and frame mean the same, and have different numbers. Write one of them.")
    return page or frame


def _whole_number(name: str, text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and int(text)):
        raise InvalidRequest(f"{name} must be a whole number from 1. Write {name}=1 for the first, or leave it out.")
    return int(text)
