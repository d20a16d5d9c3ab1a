"""The results of a finished run as files: the table of images, and beside it the table of volumes."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from brain_tumor_client.results import columns, csv_table, parquet_table
from brain_tumor_client.results.journal import Journal, Line
from brain_tumor_client.results.row import row_of
from brain_tumor_client.results.summary import summaries

SUFFIXES = (".csv", ".parquet", ".jsonl")
_FLAT = {".csv": csv_table, ".parquet": parquet_table}


class TableError(Exception):
    """The results of an earlier run cannot be read. The message says what to do."""


def volumes_path(path: Path) -> Path:
    """The table of volumes: ``results.volumes.csv`` beside ``results.csv``."""
    return path.with_name(f"{path.stem}.volumes{path.suffix}")


def write_tables(path: Path, journal: Journal, ranks: Mapping[str, int]) -> None:
    """Write both tables, each by an atomic write; the one of volumes is there only if there are volumes.

    Args:
        path: Its suffix says the format, one of ``SUFFIXES``.
        journal: The rows.
        ranks: The order of the files.

    Raises:
        OSError: They cannot be written.
    """
    classes = list(journal.classes)
    of_volumes = summaries(line.row for line in journal.lines(ranks))
    first = next(of_volumes, None)
    volumes = volumes_path(path)
    if first is None:
        volumes.unlink(missing_ok=True)  # of an earlier run
    else:
        documents = (summary.document(classes) for summary in chain([first], of_volumes))
        _write(volumes, columns.summary_columns(classes), documents, columns.summary_cells)
    if path.suffix == ".jsonl":
        lines = ({**line.row.document(), "response": line.response} for line in journal.lines(ranks))
        _write(path, {}, lines, dict)
    else:
        rows = (line.row.document() for line in journal.lines(ranks))
        _write(path, columns.row_columns(classes), rows, columns.row_cells)


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a table of images that ``write_tables`` wrote.

    Raises:
        TableError: It is no such file.
    """
    try:
        if path.suffix == ".jsonl":
            with path.open("rb") as file:
                for text in file:
                    document = json.loads(text)
                    response = document.pop("response")
                    yield Line(row_of(document), response)
        else:
            for cells in _FLAT[path.suffix].read(path, columns.row_columns([])):  # type: ignore[attr-defined]
                yield Line(row_of(columns.row_document(cells)), None)
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise TableError("The results of the earlier run cannot be read. Begin anew with --restart.") from None


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Write a file that appears complete or not at all: the block writes a hidden sibling, which is then renamed.

    Raises:
        OSError: It cannot be written.
    """
    scratch = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield scratch
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _write(
    path: Path,
    names: Mapping[str, type],
    documents: Iterable[Mapping[str, Any]],
    cells: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> None:
    with atomic(path) as scratch:
        if path.suffix == ".jsonl":
            with scratch.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(document, ensure_ascii=False) + "\n" for document in documents)
        else:
            _FLAT[path.suffix].write(scratch, names, map(cells, documents))  # type: ignore[attr-defined]
        with scratch.open("rb+") as file:
            os.fsync(file.fileno())  # once it has its name the journal goes
