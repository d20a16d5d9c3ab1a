"""The model card: Markdown for people, and the same statements in what the served model says of itself."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from brain_tumor.atomic import atomic_file
from brain_tumor.metadata import ModelMetadata
from training.card.statements import documentation
from training.evaluate import figure_rows, operating_point_rows
from training.report import share
from training.train import run
from training.train.checkpoint import CheckpointError

CARD = "card.md"


def write(folder: Path, audit_file: Path | None) -> ModelMetadata:
    """Write ``folder/card.md`` from the files of an evaluated run, and put its statements into the run's card.

    Args:
        audit_file: ``audit.json`` of its data, where there was an audit.

    Raises:
        CheckpointError: the run was not evaluated, or the audit cannot be read or is of other data.
    """
    card = run.read_metadata(folder)
    if "test" not in card.metrics:
        raise CheckpointError(f"{folder} was not tested yet: run python -m training.evaluate first")
    audit = _audit(audit_file, card)
    if audit is not None and card.metrics["deduplicated_test"] is None:
        raise CheckpointError(
            f"{folder} was tested without the audit's --groups: run python -m training.evaluate with it"
        )
    card = replace(card, documentation=documentation(card, audit))
    sets = {"Testing, raw": card.metrics["test"]}
    if card.metrics["deduplicated_test"] is not None:
        sets["Testing, de-duplicated"] = card.metrics["deduplicated_test"]
    sets["Validation"] = card.metrics["validation"]
    pages = Environment(  # noqa: S701 - Markdown
        loader=PackageLoader("training"), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    pages.filters["cell"] = _cell
    text = pages.get_template("card.md").render(
        card=card,
        sets=list(sets),
        rows=figure_rows(sets),
        operating_points=operating_point_rows(card.metrics["operating_points"]),
        share=share,
        document=card.documentation,
        **_drawings(folder),
    )
    with atomic_file(folder / CARD) as scratch:
        scratch.write_text(text, encoding="utf-8")
    run.write_metadata(card, folder)
    return card


def _drawings(folder: Path) -> dict[str, Any]:
    names = ("confusion", "reliability", "roc", "mistakes")
    return {"drawings": [name for name in names if (folder / "evaluation" / f"{name}.png").exists()]}


def _cell(value: object) -> str:
    """Text as a cell of a Markdown table, which a bar or the end of a line would break."""
    return " ".join(str(value).split()).replace("|", "\\|")


def _audit(path: Path | None, card: ModelMetadata) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        audit = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        audit = None
    if not isinstance(audit, dict) or not {"fingerprint", "contradictory", "shortcuts"} <= audit.keys():
        raise CheckpointError(f"{path} is not what python -m training.audit writes")
    if audit["fingerprint"] != card.training["fingerprint"]:
        raise CheckpointError(f"{path} is the audit of other images than those of this run")
    return audit
