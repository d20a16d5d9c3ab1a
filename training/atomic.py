"""JSON documents that appear whole or not at all, at whatever moment their writer is stopped."""

import json
from pathlib import Path
from typing import Any

from brain_tumor.atomic import atomic_file


def write_json(path: Path, document: Any) -> None:
    """Write a document; its folder is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as scratch:
        scratch.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
