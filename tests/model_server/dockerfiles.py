"""The model server's Dockerfiles, and the words of their entrypoints."""

import json
import re

from brain_tumor.processes import ROOT

FOLDER = ROOT / "model-server"
DOCKERFILES = ("Dockerfile", "Dockerfile.portable")


def entrypoint(dockerfile: str) -> list[str]:
    """The words of a Dockerfile's entrypoint, which is in exec form: no shell, no script."""
    match = re.search(r"^ENTRYPOINT (\[.*?\])$", dockerfile, re.S | re.M)
    assert match
    words: list[str] = json.loads(match[1].replace("\\\n", ""))
    return words
