"""The tables of forms in docs/your-model.md, from what a run of the forms has shown."""

import json
import re
from collections.abc import Callable, Hashable, Iterable, Sequence

from tests.integration.forms.outcomes import Outcome
from tests.processes import ROOT

DOCUMENT = ROOT / "docs" / "your-model.md"
_BEGIN, _END = "<!-- forms: begin -->\n", "<!-- forms: end -->\n"
_DIFFERENCE = re.compile(r"\de[-+]\d\d\b")
_WRITER = re.compile(r"^MODEL\S*|\([^)]* of Keras [\d.]+\)| of Keras [\d.]+")  # in a refusal


def rendered(outcomes: Sequence[Outcome]) -> str:
    """Two tables as Markdown, of what is served and what is refused: a row for all versions with one outcome."""
    refused = [outcome for outcome in outcomes if outcome.refusal or outcome.failure]
    served = [outcome for outcome in outcomes if outcome not in refused]
    return "\n".join(
        [
            "| served | how its author prepared the images | what the description says of it | file, and the Keras "
            "versions that wrote it | largest difference in probability |",
            "| --- | --- | --- | --- | --- |",
            *map(_served, _grouped(served, lambda outcome: (outcome.form.text, json.dumps(outcome.description)))),
            "",
            "| refused | file, and the Keras versions that wrote it | what the converter says |",
            "| --- | --- | --- |",
            *map(_refused, _grouped(refused, lambda outcome: (outcome.form.text, _WRITER.sub("", outcome.refusal)))),
            "",
        ]
    )


def in_document() -> str:
    """The tables that the document has."""
    return _parts()[1]


def write(tables: str) -> None:
    """Put the tables into the document."""
    before, _, after = _parts()
    DOCUMENT.write_text(before + tables + after)


def without_digits(tables: str) -> str:
    """The tables without the digits of their differences, which depend on the machine."""
    return _DIFFERENCE.sub("N", tables)


def _grouped(outcomes: Iterable[Outcome], key: Callable[[Outcome], Hashable]) -> list[list[Outcome]]:
    """The outcomes with the same key together, in the order in which the keys come first."""
    groups: dict[Hashable, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(outcome)
    return list(groups.values())


def _served(group: list[Outcome]) -> str:
    first = group[0]
    said = {name: value for name, value in first.description.items() if name not in ("class_names", "documentation")}
    described = f"`{json.dumps(said)[1:-1]}`" if said else ""
    difference = f"{max(outcome.difference for outcome in group):.0e}"
    if limit := first.form.limit:
        without = max(outcome.difference_without_limit for outcome in group)
        difference += f": {limit.text}; {without:.0e} {limit.without}"
    images = first.description["documentation"]["images"]
    return f"| {first.form.text} | {images} | {described} | {_files(group)} | {difference} |"


def _refused(group: list[Outcome]) -> str:
    last = group[-1]
    said = f"error: {last.failure.splitlines()[-1]}" if last.failure else last.refusal.replace("|", "\\|")
    return f"| {last.form.text} | {_files(group)} | {said} |"


def _files(group: list[Outcome]) -> str:
    of_one_kind = _grouped(group, lambda outcome: outcome.file)
    return "; ".join(f"{same[0].file} {', '.join(outcome.version for outcome in same)}".strip() for same in of_one_kind)


def _parts() -> tuple[str, str, str]:
    before, begin, rest = DOCUMENT.read_text().partition(_BEGIN)
    tables, end, after = rest.partition(_END)
    assert begin and end, f"{DOCUMENT} has no place for the tables"
    return before + begin, tables, end + after
