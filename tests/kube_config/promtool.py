"""Prometheus' own tool, which tests rules and queries."""

import shutil
import subprocess
from pathlib import Path

import pytest


def promtool(*arguments: str, folder: Path) -> None:
    """Run it in a folder; without the tool the test is skipped."""
    command = [shutil.which("promtool") or pytest.skip("needs promtool, of Debian's prometheus"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
