"""The table of forms in docs/your-model.md, from what a run of the forms has shown."""

import re
from collections.abc import Iterable
from itertools import groupby

from tests.integration.forms.outcomes import Outcome
from tests.processes import ROOT

DOCUMENT = ROOT / "docs" / "your-model.md"
_BEGIN, _END = "<!-- forms: begin -->\n", "<!-- forms: end -->\n"
_DIFFERENCE = re.compile(r"\de[-+]\d\d\b")


def rendered(outcomes: Iterable[Outcome]) -> str:
    """The table as Markdown: a row for each form, kind of file and result, over the Keras versions that share them."""
    lines = ["| form | file | written by Keras | result |", "| --- | --- | --- | --- |"]
    for (text, file, _), rows in groupby(outcomes, lambda outcome: (outcome.form.text, outcome.file, outcome.kind)):
        group = list(rows)
        versions = ", ".join(outcome.version for outcome in group if outcome.version)
        worst = max(group, key=lambda outcome: outcome.difference)
        lines.append(f"| {text} | {file} | {versions} | {worst.result} |")
    return "\n".join(lines) + "\n"


def in_document() -> str:
    """The table that the document has."""
    return _parts()[1]


def write(table: str) -> None:
    """Put a table into the document."""
    before, _, after = _parts()
    DOCUMENT.write_text(before + table + after)


def without_digits(table: str) -> str:
    """The table without the digits of its differences, which depend on the machine."""
    return _DIFFERENCE.sub("N", table)


def _parts() -> tuple[str, str, str]:
    before, begin, rest = DOCUMENT.read_text().partition(_BEGIN)
    table, end, after = rest.partition(_END)
    assert begin and end, f"{DOCUMENT} has no place for the table"
    return before + begin, table, end + after
