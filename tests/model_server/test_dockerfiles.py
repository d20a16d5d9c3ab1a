"""Both container images start a model server at the same path with the same flags, which fit what the tiers share."""

import re
import stat
import subprocess
from pathlib import Path

import pytest

from brain_tumor.contract import MODEL_NAME
from portable_model_server.flags import CommandLine, parse
from portable_model_server.serving.config import metrics_path
from tests.model_server.dockerfiles import DOCKERFILES, FOLDER, entrypoint


@pytest.fixture(params=DOCKERFILES)
def dockerfile(request) -> str:
    return (FOLDER / request.param).read_text()


@pytest.fixture
def line(dockerfile: str) -> CommandLine:
    return parse(entrypoint(dockerfile)[1:])


def test_the_real_binary_is_the_command() -> None:
    dockerfile = (FOLDER / "Dockerfile").read_text()
    assert re.findall(r"^ARG BASE=(.*)$", dockerfile, re.M) == ["tensorflow/serving:2.20.0"]
    assert entrypoint(dockerfile)[0] == "/usr/bin/tensorflow_model_server"
    assert len(re.findall(r"^(ENTRYPOINT|CMD)", dockerfile, re.M)) == 1


def test_one_image_can_stand_in_for_the_other() -> None:
    real, portable = ((FOLDER / name).read_text() for name in DOCKERFILES)
    assert entrypoint(real) == entrypoint(portable)
    assert f"> {entrypoint(real)[0]} " in portable
    assert "exec " in portable
    assert "requirements.py /build/Pipfile.lock model-server >" in portable
    assert "--require-hashes" in portable


def test_every_flag_is_one(line: CommandLine) -> None:
    assert not line.unknown
    assert not line.without_effect
    assert not line.refused
    assert line.flags.grpc_options


def test_the_model_is_where_the_flags_look(dockerfile: str, line: CommandLine) -> None:
    assert line.flags.model_name == MODEL_NAME
    assert f"COPY ${{MODEL}} {line.flags.model_base_path}\n" in dockerfile
    assert Path(line.flags.model_base_path).name == MODEL_NAME
    source = re.search(r"^ARG MODEL=(.*)$", dockerfile, re.M)
    assert source
    assert source[1] == f"model-server/models/{MODEL_NAME}"


def test_ports(dockerfile: str, line: CommandLine) -> None:
    assert f"EXPOSE {line.flags.port} {line.flags.rest_api_port}\n" in dockerfile


def test_metrics(dockerfile: str, line: CommandLine) -> None:
    assert f"COPY model-server/monitoring.config {line.flags.monitoring_config_file}\n" in dockerfile
    assert metrics_path((FOLDER / "monitoring.config").read_text())


def test_the_server_is_not_root(dockerfile: str) -> None:
    assert re.findall(r"^USER (.*)$", dockerfile, re.M) == ["10001:10001"]


def test_the_server_can_read_what_was_copied(dockerfile: str, tmp_path: Path) -> None:
    """Whatever the umask of the checkout: the command runs here, on a folder of its own."""
    match = re.search(r"^RUN (find (/models\S*(?: /opt/portable)?) .*)$", dockerfile, re.M)
    assert match
    assert "\nCOPY " not in dockerfile[match.end() :]
    copied = set(re.findall(r"^COPY (?!--from).* (/\w+/\w+)", dockerfile, re.M)) - {"/build"}
    assert all(path.startswith(tuple(match[2].split())) for path in copied)
    folder = tmp_path / "brain-tumor" / "1"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch(0o600)
    (folder / "script").touch(0o700)
    for path in (folder, folder.parent):
        path.chmod(0o700)
    subprocess.run(["/bin/sh", "-c", match[1].replace(match[2], str(tmp_path / "brain-tumor"))], check=True, timeout=60)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "brain-tumor").rglob("*")}
    assert modes == {"1": 0o755, "saved_model.pb": 0o644, "script": 0o755}
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o755
