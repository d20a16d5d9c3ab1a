"""CSV files that a spreadsheet opens without running what a file name or a class name holds."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

# A spreadsheet takes a text that begins so for a formula. The apostrophe stands here so that the way back is clear.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_BOOLEANS = {"true": True, "false": False}


def write(path: Path, columns: Mapping[str, type], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a table as UTF-8, one row after the other.

    Raises:
        OSError: It cannot be written.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([_cell(name) for name in columns])
        writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)


def read(path: Path, columns: Mapping[str, type]) -> Iterator[dict[str, Any]]:
    """Read what ``write`` wrote. Columns that are not in ``columns`` hold numbers.

    Raises:
        OSError, ValueError: It is no such file.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, strict=True)
        names = [_text(name) for name in next(reader, [])]
        if not columns.keys() <= set(names):
            raise ValueError("columns are missing")
        for cells in reader:
            pairs = zip(names, cells, strict=True)
            yield {name: _value(cell, columns.get(name, float)) for name, cell in pairs}


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def _text(cell: str) -> str:
    return cell[1:] if cell.startswith("'") else cell


def _value(cell: str, kind: type) -> Any:
    if cell == "":
        return None
    if kind is str:
        return _text(cell)
    if kind is bool:
        if cell not in _BOOLEANS:
            raise ValueError("neither true nor false")
        return _BOOLEANS[cell]
    return kind(cell)
