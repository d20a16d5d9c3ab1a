"""The Jinja environment of Markdown documents: reports and model cards."""

import re

from jinja2 import Environment, PackageLoader

_MARKUP = re.compile(r"[\\`*<&\[\]|~$]|(?<!\w)_|_(?!\w)|^[#>+-]")  # an underscore inside a word is no markup
_LIST_NUMBER = re.compile(r"^\d+(?=[.)](?: |$))")  # "1." and "1)", but not 1.5


def environment() -> Environment:
    """An environment with the filter ``plain``, which turns any value into one line without markup."""
    pages = Environment(  # noqa: S701 - Markdown, not HTML
        loader=PackageLoader("training"), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    pages.filters["plain"] = plain
    return pages


def plain(value: object) -> str:
    """Text for a heading, a paragraph or a table's cell: on one line, with its Markdown characters escaped."""
    return _LIST_NUMBER.sub(r"\g<0>\\", _MARKUP.sub(r"\\\g<0>", " ".join(str(value).split())))
