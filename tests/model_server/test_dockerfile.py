"""The production image's flags are such that the portable server takes them too, and say what the tiers agreed on."""

import json
import re
from pathlib import Path

import pytest

from brain_tumor.contract import MODEL_NAME
from portable_model_server.config import metrics_path
from portable_model_server.flags import CommandLine, parse
from tests.processes import ROOT

FOLDER = ROOT / "model-server"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()


def words() -> list[str]:
    """The entrypoint, in exec form: no shell, no script."""
    match = re.search(r"^ENTRYPOINT (\[.*?\])$", DOCKERFILE, re.S | re.M)
    assert match
    return json.loads(match[1].replace("\\\n", ""))


@pytest.fixture
def line() -> CommandLine:
    return parse(words()[1:])


def test_the_real_binary_is_the_command() -> None:
    assert words()[0] == "/usr/bin/tensorflow_model_server"
    assert len(re.findall(r"^(ENTRYPOINT|CMD)", DOCKERFILE, re.M)) == 1
    assert re.findall(r"^FROM (.*)$", DOCKERFILE, re.M) == ["tensorflow/serving:2.20.0"]


def test_every_flag_is_one(line: CommandLine) -> None:
    assert not line.unknown
    assert not line.without_effect
    assert not line.refused
    assert line.flags.grpc_options


def test_the_model_is_where_the_flags_look(line: CommandLine) -> None:
    assert line.flags.model_name == MODEL_NAME
    assert f"COPY ${{MODEL}} {line.flags.model_base_path}\n" in DOCKERFILE
    assert Path(line.flags.model_base_path).name == MODEL_NAME
    source = re.search(r"^ARG MODEL=(.*)$", DOCKERFILE, re.M)
    assert source
    assert source[1] == f"model-server/models/{MODEL_NAME}"


def test_ports(line: CommandLine) -> None:
    assert f"EXPOSE {line.flags.port} {line.flags.rest_api_port}\n" in DOCKERFILE


def test_metrics(line: CommandLine) -> None:
    assert f"COPY model-server/monitoring.config {line.flags.monitoring_config_file}\n" in DOCKERFILE
    assert metrics_path((FOLDER / "monitoring.config").read_text())


def test_the_server_is_not_root() -> None:
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.M) == ["1000:1000"]
