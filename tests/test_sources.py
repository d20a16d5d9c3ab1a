"""Both tiers' commands run from the checkout's root, with no variable that says where the sources are."""

import os
import subprocess
import sys

from brain_tumor.processes import ROOT


def test_the_model_server_runs_in_a_clean_environment() -> None:
    command = [sys.executable, "-m", "portable_model_server", "--version"]
    done = subprocess.run(
        command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "OpenVINO" in done.stdout
