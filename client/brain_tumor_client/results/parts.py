"""The tables that the shards of a run have written, and the one table of them all."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from brain_tumor_client.results.journal import Journal
from brain_tumor_client.results.tables import SUFFIXES, read_lines, write_tables

_PART = re.compile(
    r"(?P<run>.+)-(?P<index>\d{1,6})-of-(?P<count>\d{1,6})"
)  # a name without suffix, as in docs/client.md
_SHOWN = 5  # missing parts in a message; there may be thousands


class PartsError(Exception):
    """The tables are not the parts of one run. The message says which one is missing, or too much."""


def tables_of_images(paths: Iterable[Path]) -> list[Path]:
    """The tables of images among these files, and in these folders.

    Tables of volumes, which a shell's pattern names too, are left out: they are made anew from the images. Where the
    names are like ``part-0-of-4.csv`` all parts of one run must be there. Others are taken as they are.

    Raises:
        PartsError: Parts are missing, or are of several runs.
        OSError: A folder cannot be listed.
    """
    files = [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    tables = [path for path in dict.fromkeys(files) if path.suffix in SUFFIXES and not path.stem.endswith(".volumes")]
    if not tables:
        raise PartsError("There are no tables of images here.")
    parts = [(path, match) for path in tables if (match := _PART.fullmatch(path.stem))]
    if not parts:
        return tables
    runs = {(path.parent, match["run"], int(match["count"])) for path, match in parts}
    if len(runs) > 1 or len(parts) < len(tables):
        raise PartsError("These tables are of several runs. Name those of one run.")
    ((_, _, count),) = runs
    by_index = {int(match["index"]): path for path, match in parts}
    missing = [index for index in range(count) if index not in by_index]
    if missing:
        some = ", ".join(map(str, missing[:_SHOWN])) + (", ..." if len(missing) > _SHOWN else "")
        raise PartsError(f"Of {count} parts {len(missing)} are missing: {some}. Their shards have not ended yet.")
    if len(by_index) != len(tables) or len(tables) != count:
        raise PartsError("A part is here more than once. Name each part once.")
    return [by_index[index] for index in range(count)]


def merge(tables: Sequence[Path], out: Path) -> tuple[int, int]:
    """Write one table of all rows, in the order of the tables, and one of their volumes.

    Returns:
        How many images there are, and how many of them failed.

    Raises:
        PartsError: An image is in two tables.
        TableError: One of them is no such table.
        OSError: They cannot be written.
    """
    failed = 0
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = out.with_name(f".{os.getpid()}.{out.name}.journal")
    try:
        with Journal(scratch, {}, anew=True) as journal:
            for table in tables:
                for line in read_lines(table):
                    if line.row.key in journal:
                        raise PartsError(f"The image {line.row.path} is in two of these tables.")
                    journal.append(line)
                    failed += line.row.class_name is None
            write_tables(out, journal, {})
            return journal.images, failed
    finally:
        scratch.unlink(missing_ok=True)
