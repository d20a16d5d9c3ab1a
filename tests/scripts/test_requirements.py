"""A container image installs one category of the lock file: all of it, and nothing else."""

import json
import subprocess
import sys

import pytest

from scripts.requirements import requirements
from tests.processes import ROOT

LOCK = json.loads((ROOT / "Pipfile.lock").read_text())


@pytest.mark.parametrize("category", ["gateway", "model-server"])
def test_every_package_of_the_category_with_its_hashes(category: str) -> None:
    lines = list(requirements(LOCK, category))
    assert len(lines) == len(LOCK[category]) > 0
    for name, package in LOCK[category].items():
        (line,) = [line for line in lines if line.startswith((f"{name}==", f"{name}["))]
        assert package["version"] in line
        assert line.count("--hash=sha256:") == len(package["hashes"])


def test_extras_and_markers_are_kept() -> None:
    package = {"version": "==1.0", "extras": ["b", "c"], "markers": "python_version >= '3.11'", "hashes": ["sha256:0"]}
    assert list(requirements({"x": {"a": package}}, "x")) == [
        "a[b,c]==1.0 ; python_version >= '3.11' --hash=sha256:0",
    ]


@pytest.mark.parametrize("category", ["no-such", "_meta"])
def test_a_category_that_does_not_exist(category: str) -> None:
    command = [sys.executable, "scripts/requirements.py", "Pipfile.lock", category]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no category" in done.stderr
    assert "gateway" in done.stderr
    assert "Traceback" not in done.stderr
