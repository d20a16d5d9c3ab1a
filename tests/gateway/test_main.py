"""``python -m gateway`` as an operator calls it."""

import os
import subprocess

import pytest

from brain_tumor.processes import gateway_command
from gateway.keys import Caller, digest_of, read_keys
from gateway.settings import markdown_table
from tests.processes import ROOT


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [*gateway_command(), *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GATEWAY_MAX_IN_FLIGHT", "none"),
        ("MODEL_SERVER_ADDRESS", "nowhere"),
        ("GATEWAY_BIND", "9696"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
    ],
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


def test_the_command_that_makes_a_key():
    result = run("--new-key", "team-2.x")
    key = result.stderr.splitlines()[1]
    assert result.returncode == 0
    assert read_keys(result.stdout.encode()) == {digest_of(key): Caller("team-2.x")}
    assert key not in result.stdout


@pytest.mark.parametrize("name", ["", "two words", "two\nlines"])
def test_a_key_for_a_name_that_the_gateway_would_refuse_is_not_made(name):
    result = run("--new-key", name)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].startswith(
        "python -m gateway: error: argument --new-key: a name has up to 40 letters, digits, dots, _ and -"
    )


def test_keys_that_cannot_be_used_stop_the_start(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text("[a.b]")
    result = run(GATEWAY_KEYS_FILE=str(path))
    assert result.returncode == 1
    assert result.stderr.startswith(f"The gateway does not start: {path}: [a] has something else than sha256")
    assert result.stderr.count("\n") == 1
