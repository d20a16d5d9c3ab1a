"""``python -m gateway`` as an operator calls it."""

import os
import subprocess

import pytest

from brain_tumor.processes import gateway_command
from gateway.settings import markdown_table
from tests.processes import ROOT


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [*gateway_command(), *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("GATEWAY_MAX_IN_FLIGHT", "none"), ("MODEL_SERVER_ADDRESS", "nowhere"), ("GATEWAY_BIND", "9696")],
)
def test_a_bad_setting_stops_the_start(variable, value):
    result = run(**{variable: value})
    assert result.returncode != 0
    assert result.stderr.startswith(f"The gateway does not start: {variable}=")
    assert "Traceback" not in result.stderr


def test_arguments_are_refused():
    result = run("--workers", "3")
    assert result.returncode == 2
    assert "unrecognized arguments" in result.stderr


def test_the_table_of_settings_can_be_printed():
    result = run("--settings")
    assert (result.returncode, result.stdout) == (0, markdown_table())
