"""Writes the model card of an evaluated run as Markdown, and its statements into the run's metadata."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from brain_tumor.atomic import atomic_file
from brain_tumor.contract import INT8_METADATA
from brain_tumor.metadata import INT8, MetadataError, ModelMetadata
from training import markdown
from training.card.statements import documentation
from training.evaluate.evaluation import FOLDER
from training.evaluate.tables import metric_rows, operating_point_rows
from training.report import share
from training.train import run
from training.train.checkpoint import CheckpointError

CARD = "card.md"
_DRAWINGS = ("confusion", "reliability", "roc", "mistakes")  # of the evaluation, where they exist


def write(folder: Path, audit_file: Path | None, version: Path | None = None) -> ModelMetadata:
    """Write ``card.md`` into a run's folder and the card's statements into the run's metadata.

    Args:
        folder: The run's folder.
        audit_file: ``audit.json`` of the run's data set, where there was an audit.
        version: The folder of the run's converted version, where its int8 form belongs into the card.

    Returns:
        The run's metadata with the statements.

    Raises:
        CheckpointError: The run was not evaluated, the audit cannot be read or belongs to another data set, or the
            version is of another run or has no int8 form.
    """
    metadata = run.read_metadata(folder)
    if "test" not in metadata.metrics:
        raise CheckpointError(f"{folder} was not tested yet: run python -m training.evaluate first")
    audit = _read_audit(audit_file, metadata)
    if audit is not None and metadata.metrics["deduplicated_test"] is None:
        raise CheckpointError(
            f"{folder} was tested without the audit's --groups: run python -m training.evaluate with it"
        )
    int8 = None if version is None else _read_int8(version, metadata)
    metadata = replace(metadata, documentation=documentation(metadata, audit))
    with atomic_file(folder / CARD) as scratch:
        scratch.write_text(_markdown(metadata, int8, folder), encoding="utf-8")
    run.write_metadata(metadata, folder)
    return metadata


def _markdown(metadata: ModelMetadata, int8: ModelMetadata | None, folder: Path) -> str:
    sets = {"Testing, raw": metadata.metrics["test"]}
    if metadata.metrics["deduplicated_test"] is not None:
        sets["Testing, de-duplicated"] = metadata.metrics["deduplicated_test"]
    sets["Validation"] = metadata.metrics["validation"]
    drawings = {name: f"{FOLDER}/{name}.png" for name in _DRAWINGS}
    page = markdown.environment().get_template(CARD)
    return page.render(
        metadata=metadata,
        int8=int8,
        verdict=int8 and int8.metrics[INT8],
        int8_rows=int8 and _int8_rows(int8.metrics[INT8]["figures"]),
        document=metadata.documentation,
        sets=list(sets),
        metric_rows=metric_rows(sets),
        operating_points=operating_point_rows(metadata.metrics["operating_points"]),
        drawings={name: path for name, path in drawings.items() if (folder / path).exists()},
        share=share,
    )


def _int8_rows(figures: dict[str, Any]) -> list[list[str]]:
    """Rows with the name of a harm, what both forms do where that can be told, the harm, its interval and its bound."""

    def cell(value: float | None) -> str:
        return "" if value is None else f"{value:.4f}"

    return [
        [
            name.replace("_", " ").replace("ood auroc", "OOD AUROC"),
            cell(figure["float32"]),
            cell(figure["int8"]),
            f"{figure['harm']:.4f} ({figure['interval'][0]:.4f} to {figure['interval'][1]:.4f})",
            cell(figure["bound"]),
        ]
        for name, figure in figures.items()
    ]


def _read_int8(version: Path, metadata: ModelMetadata) -> ModelMetadata:
    path = version / INT8_METADATA
    try:
        int8 = ModelMetadata.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path} ({error.strerror}): convert the run's model with --int8, and name that version"
        ) from None
    except (MetadataError, UnicodeDecodeError):
        raise CheckpointError(f"{path} is not what the converter writes: convert the model again") from None
    if int8.training != metadata.training:
        raise CheckpointError(f"{version} is a version of another run's model: name one of this run's")
    return int8


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
