"""Writes the model card of an evaluated run as Markdown, and its statements into the run's metadata."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from brain_tumor.atomic import atomic_file
from brain_tumor.metadata import ModelMetadata
from training import markdown
from training.card.statements import documentation
from training.evaluate.evaluation import FOLDER
from training.evaluate.tables import metric_rows, operating_point_rows
from training.report import share
from training.train import run
from training.train.checkpoint import CheckpointError

CARD = "card.md"
_DRAWINGS = ("confusion", "reliability", "roc", "mistakes")  # of the evaluation, where they exist


def write(folder: Path, audit_file: Path | None) -> ModelMetadata:
    """Write ``card.md`` into a run's folder and the card's statements into the run's metadata.

    Args:
        folder: The run's folder.
        audit_file: ``audit.json`` of the run's data set, where there was an audit.

    Returns:
        The run's metadata with the statements.

    Raises:
        CheckpointError: The run was not evaluated, or the audit cannot be read or belongs to another data set.
    """
    metadata = run.read_metadata(folder)
    if "test" not in metadata.metrics:
        raise CheckpointError(f"{folder} was not tested yet: run python -m training.evaluate first")
    audit = _read_audit(audit_file, metadata)
    if audit is not None and metadata.metrics["deduplicated_test"] is None:
        raise CheckpointError(
            f"{folder} was tested without the audit's --groups: run python -m training.evaluate with it"
        )
    metadata = replace(metadata, documentation=documentation(metadata, audit))
    with atomic_file(folder / CARD) as scratch:
        scratch.write_text(_markdown(metadata, folder), encoding="utf-8")
    run.write_metadata(metadata, folder)
    return metadata


def _markdown(metadata: ModelMetadata, folder: Path) -> str:
    sets = {"Testing, raw": metadata.metrics["test"]}
    if metadata.metrics["deduplicated_test"] is not None:
        sets["Testing, de-duplicated"] = metadata.metrics["deduplicated_test"]
    sets["Validation"] = metadata.metrics["validation"]
    drawings = {name: f"{FOLDER}/{name}.png" for name in _DRAWINGS}
    page = markdown.environment().get_template(CARD)
    return page.render(
        metadata=metadata,
        document=metadata.documentation,
        sets=list(sets),
        metric_rows=metric_rows(sets),
        operating_points=operating_point_rows(metadata.metrics["operating_points"]),
        drawings={name: path for name, path in drawings.items() if (folder / path).exists()},
        share=share,
    )


def _read_audit(path: Path | None, metadata: ModelMetadata) -> dict[str, Any] | None:
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
    if audit["fingerprint"] != metadata.training["fingerprint"]:
        raise CheckpointError(f"{path} is the audit of other images than those of this run")
    return audit
