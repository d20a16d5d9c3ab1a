"""JSON documents that are there whole or not at all, whatever moment a command is stopped at."""

import json
from pathlib import Path
from typing import Any

from brain_tumor.atomic import atomic_file


def write_json(path: Path, document: Any) -> None:
    """Write a document; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as scratch:
        scratch.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
