"""Options of a prediction, as the query, a form or JSON gives them: ``explain`` and ``page``."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.images.sent import InvalidRequest

_YES = ("", "1", "true", "yes", "on")  # the empty text is ?explain
_NO = ("0", "false", "no", "off")
_MAX_DIGITS = 6  # of a page; more pages than any file has


@dataclass(frozen=True)
class Options:
    """What a client asks for.

    Attributes:
        explain: Whether it wants overlays.
        page: Which page of a stack it means, from 1; None if it does not say.
    """

    explain: bool
    page: int | None


def read_options(query: Mapping[str, str], body: Mapping[str, str]) -> Options:
    """Read the options; what the query says counts before what the body says.

    Raises:
        InvalidRequest: An option has a value that means nothing.
    """
    texts = {**body, **query}
    return Options(_flag("explain", texts.get("explain", "false")), _whole_number("page", texts.get("page", "")))


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
