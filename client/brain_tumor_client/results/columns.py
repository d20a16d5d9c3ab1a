"""The columns of flat tables: names and types, and rows to cells and back."""

from collections.abc import Iterable, Mapping
from typing import Any

PROBABILITY, COUNT, MEAN = "probability_", "images_", "mean_probability_"
BETWEEN_WARNINGS = " | "
_BEFORE: dict[str, type] = {"path": str, "volume": str, "plane": str, "slice": int, "frame": int, "class": str}
_AFTER: dict[str, type] = {
    "ood_score": float,
    "ood_flag": bool,
    "model_name": str,
    "model_version": int,
    "warnings": str,
    "error_status": int,
    "error_detail": str,
    "request_id": str,
    "seconds": float,
}
_BEST: dict[str, type] = {
    "most_certain_path": str,
    "most_certain_plane": str,
    "most_certain_slice": int,
    "most_certain_frame": int,
    "most_certain_class": str,
    "most_certain_probability": float,
    "share_out_of_distribution": float,
}


def row_columns(classes: Iterable[str]) -> dict[str, type]:
    """Name and type of the columns of the table of images."""
    return _BEFORE | {PROBABILITY + name: float for name in classes} | _AFTER


def summary_columns(classes: Iterable[str]) -> dict[str, type]:
    """Name and type of the columns of the table of volumes."""
    classes = list(classes)
    counts, means = {COUNT + name: int for name in classes}, {MEAN + name: float for name in classes}
    return {"volume": str, "images": int, "failed": int} | counts | means | _BEST


def row_cells(document: Mapping[str, Any]) -> dict[str, Any]:
    """A row's cells, by column; those that are missing are empty."""
    cells = {name: value for name, value in document.items() if name not in ("probabilities", "warnings")}
    probabilities = {PROBABILITY + name: value for name, value in document["probabilities"].items()}
    warnings = BETWEEN_WARNINGS.join(document["warnings"]) or None
    return cells | {"warnings": warnings} | probabilities


def row_document(cells: Mapping[str, Any]) -> dict[str, Any]:
    """The way back from cells to a row's document."""
    return {name: cells[name] for name in _BEFORE | _AFTER} | {
        "probabilities": {
            name.removeprefix(PROBABILITY): value
            for name, value in cells.items()
            if name.startswith(PROBABILITY) and value is not None
        },
        "warnings": cells["warnings"].split(BETWEEN_WARNINGS) if cells["warnings"] else [],
    }


def summary_cells(document: Mapping[str, Any]) -> dict[str, Any]:
    """A summary's cells, by column."""
    cells = {name: value for name, value in document.items() if name not in ("counts", "mean_probabilities")}
    counts = {COUNT + name: value for name, value in document["counts"].items()}
    return cells | counts | {MEAN + name: value for name, value in document["mean_probabilities"].items()}
