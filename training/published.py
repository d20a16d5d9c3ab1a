"""Files that are there whole or not at all, whatever moment a command is stopped at."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """A file to write, which becomes ``path`` when all went well and vanishes otherwise."""
    scratch = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield scratch
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def write_json(path: Path, document: Any) -> None:
    """Publish a document; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with published(path) as scratch:
        scratch.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
