"""The command of ``make run`` as a user runs it."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests import processes
from tests.integration.forms.catalogue import TOLERANCE, Form
from tests.integration.forms.environments import NoPython
from tests.integration.forms.images import write_images
from tests.integration.forms.outcomes import probabilities
from tests.integration.forms.written import write_form
from tests.processes import ROOT, free_port, listens, wait_until


def command(*ports: int) -> list[str]:
    names = ("--port", "--grpc-port", "--rest-port")
    return [
        sys.executable,
        "-m",
        "scripts.serve",
        *(word for pair in zip(names, map(str, ports), strict=True) for word in pair),
    ]


@pytest.fixture
def ports() -> Iterator[tuple[int, int, int]]:
    free = (free_port(), free_port(), free_port())
    yield free
    assert not any(listens(port) for port in free), "a server outlived its parent"


def test_the_printed_curl_line_works_as_pasted(tmp_path: Path, ports: tuple[int, int, int]) -> None:
    log = tmp_path / "log"
    with processes.process(command(*ports), log) as serve:
        wait_until(lambda: "Ready on" in log.read_text() or serve.poll() is not None, "ready", log)
        line = re.search(r"^ *(curl .+)$", log.read_text(), re.MULTILINE)
        assert line, log.read_text()
        done = subprocess.run(
            line[1] + " --silent --show-error", shell=True, capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert '"glioma"' in done.stdout
        os.kill(serve.pid, signal.SIGINT)
        assert serve.wait(60) == 0
    assert "Stopped." in log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_a_taken_port_is_named(taken: int, ports: tuple[int, int, int]) -> None:
    with socket.create_server(("127.0.0.1", ports[taken])):
        ended = subprocess.run(command(*ports), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert str(ports[taken]) in ended.stderr
    assert ("PORT=", "GRPC_PORT=", "REST_PORT=")[taken] in ended.stderr


def test_a_tier_that_dies_ends_the_other(tmp_path: Path, ports: tuple[int, int, int]) -> None:
    log = tmp_path / "log"
    with processes.process(command(*ports), log) as serve:
        wait_until(lambda: "Ready on" in log.read_text() or serve.poll() is not None, "ready", log)
        children = Path(f"/proc/{serve.pid}/task/{serve.pid}/children").read_text().split()
        assert len(children) == 2
        os.kill(int(children[0]), signal.SIGKILL)
        assert serve.wait(60) == 1
    assert "model server ended" in log.read_text()


def test_a_model_that_cannot_be_converted(tmp_path: Path, ports: tuple[int, int, int]) -> None:
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"PK\x03\x04 not really")
    (tmp_path / "broken.json").write_text('{"class_names": ["a", "b"]}')
    ended = subprocess.run(
        [*command(*ports), "--keras-model", str(broken)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 1
    assert "broken.keras" in ended.stderr
    assert "nothing is served" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_network_that_this_project_started_from(tmp_path: Path, ports: tuple[int, int, int]) -> None:
    """At its full size, saved by the Keras that TensorFlow 2.16 came with, to an answer over HTTP."""
    images = write_images(tmp_path / "images")
    form = Form("the network this project started from", "started_from_at_full_size", ".keras")
    try:
        written = write_form(form, "3.3.3", tmp_path / "notebook", tmp_path / "images", print)
    except NoPython as missing:
        pytest.skip(str(missing))
    log = tmp_path / "log"
    with processes.process([*command(*ports), "--keras-model", str(written.path)], log) as serve:
        wait_until(lambda: "Ready on" in log.read_text() or serve.poll() is not None, "ready", log, timeout=240)
        assert serve.poll() is None, log.read_text()
        answered = probabilities(f"http://127.0.0.1:{ports[0]}", images)
    assert np.abs(answered - written.probabilities).max() < TOLERANCE
    assert np.ptp(written.probabilities, axis=0).min() > 0.1, "the network tells no images apart"


@pytest.mark.parametrize("ports", [(70000, 8500, 8501), (0, 8500, 8501)])
def test_a_number_that_is_no_port_is_refused(ports: tuple[int, int, int]) -> None:
    ended = subprocess.run(command(*ports), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "a port is a number from 1 to 65535" in ended.stderr


def test_a_port_given_twice_is_refused() -> None:
    port = free_port()
    ended = subprocess.run(command(port, port, free_port()), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert f"port {port}" in ended.stderr


def test_make_run_takes_its_options_from_the_command_line_and_not_from_the_environment() -> None:
    environment = {**os.environ, "HOST": "elsewhere", "PORT": "1", "MODEL": "x.keras"}
    printed = subprocess.run(
        ["make", "--dry-run", "run", "GRPC_PORT=2"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "--grpc-port 2" in printed
    assert "elsewhere" not in printed and "--port" not in printed and "x.keras" not in printed


def test_a_proxy_and_a_model_name_in_the_environment_change_nothing(
    tmp_path: Path, ports: tuple[int, int, int]
) -> None:
    log = tmp_path / "log"
    with processes.process(command(*ports), log, {"http_proxy": "http://127.0.0.1:9", "MODEL_NAME": "resnet"}) as serve:
        wait_until(lambda: "Ready on" in log.read_text() or serve.poll() is not None, "ready", log)
        assert serve.poll() is None, log.read_text()
