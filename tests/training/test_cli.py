"""The help of the commands that use TensorFlow."""

import subprocess
import sys

import pytest

from tests.processes import ROOT


@pytest.mark.parametrize(
    ("command", "argument"),
    [
        ("train", "--frozen-epochs"),
        ("compare", "--trial-epochs"),
        ("evaluate", "--groups"),
        ("card", "--audit"),
        ("experiment", "--estimate"),
    ],
)
def test_help_and_mistyped_options_do_not_wait_for_tensorflow(command: str, argument: str) -> None:
    program = f"""
import sys
from training.{command}.__main__ import main
try:
    main(["--help"])
finally:
    assert "tensorflow" not in sys.modules, "imported"
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert argument in done.stdout
