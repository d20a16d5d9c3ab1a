"""Parquet files, by pyarrow, which is installed only on demand."""

import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

_GROUP = 10_000  # rows in memory at a time


def is_available() -> bool:
    """Whether pyarrow is installed."""
    return importlib.util.find_spec("pyarrow") is not None


def write(path: Path, columns: Mapping[str, type], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a table, some thousand rows at a time.

    Raises:
        OSError: It cannot be written.
    """
    import pyarrow
    from pyarrow import parquet

    types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in columns.items()])
    remaining = iter(rows)
    with parquet.ParquetWriter(path, schema) as writer:
        while group := list(islice(remaining, _GROUP)):
            writer.write_table(pyarrow.Table.from_pylist(group, schema))


def read(path: Path, columns: Mapping[str, type]) -> Iterator[dict[str, Any]]:
    """Read what ``write`` wrote.

    Raises:
        OSError, ValueError: It is no such file.
    """
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(_GROUP):
            yield from batch.to_pylist()
