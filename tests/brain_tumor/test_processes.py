"""Processes start, are awaited and end as ``make run`` and the tests rely on."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from brain_tumor import processes
from brain_tumor.processes import (
    ROOT,
    SHIPPED_MODEL,
    ProcessError,
    free_port,
    gateway_command,
    listens,
    model_server_command,
    responds,
    running,
    wait_until_up,
)

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
IGNORE_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def has_printed(log: Path, text: str) -> bool:
    return text in log.read_text()


def test_the_model_server_s_command():
    command = model_server_command(
        Path("models") / "mine", "--flag=1", port=8500, rest_port=8501, host="0.0.0.0", name="mine"
    )
    assert command == [
        sys.executable,
        "-m",
        "portable_model_server",
        "--host=0.0.0.0",
        "--port=8500",
        "--rest_api_port=8501",
        "--model_name=mine",
        f"--model_base_path={Path.cwd() / 'models' / 'mine'}",
        "--flag=1",
    ]


def test_the_model_server_s_command_without_rest():
    assert not [flag for flag in model_server_command(SHIPPED_MODEL, port=8500) if "rest" in flag]


def test_the_gateway_s_command():
    assert gateway_command() == [sys.executable, "-m", "gateway"]


def test_the_shipped_model_is_there():
    assert (SHIPPED_MODEL / "1" / "saved_model.pb").is_file()


def test_a_free_port_is_listened_on_only_while_something_listens():
    port = free_port()
    assert not listens(port)
    with socket.create_server(("127.0.0.1", port)):
        assert listens(port)
    assert not listens(port)


def test_a_free_port_is_none_that_the_kernel_may_give_to_another_process():
    assert max(free_port() for _ in range(20)) < 32_768


def test_a_taken_port_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        with pytest.raises(OSError, match="No free port was found"):
            free_port([taken])
        free = free_port()
        assert free_port([taken, free]) == free


@pytest.mark.parametrize(("status", "expected"), [(200, True), (404, False), (503, False)])
def test_responds_means_success(status, expected, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert responds(f"http://127.0.0.1:{server.server_port}/") is expected
        thread.join(10)


def test_nothing_responds_on_a_free_port():
    assert responds(f"http://127.0.0.1:{free_port()}/") is False


def test_a_server_that_speaks_no_http_does_not_respond():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        assert responds(f"http://127.0.0.1:{server.getsockname()[1]}/") is False
        thread.join(10)


def test_a_process_runs_in_the_root_with_this_environment_alone(tmp_path):
    log = tmp_path / "log"
    code = "import os, sys; print(os.getcwd(), os.environ.get('HOME'), os.environ['MINE'], 'error', file=sys.stderr)"
    with log.open("wb") as output, running(python(code), {"MINE": "1"}, output) as process:
        assert process.wait(60) == 0
    assert log.read_text().split() == [str(ROOT), "None", "1", "error"]


def test_a_process_has_a_session_of_its_own_and_ends_with_the_block(tmp_path):
    log = tmp_path / "log"
    with log.open("wb") as output, running(python(SLEEP), os.environ, output) as process:
        wait_until_up(process, lambda: has_printed(log, "up"), 60)
        assert os.getsid(process.pid) == process.pid
    assert process.returncode == -signal.SIGTERM


def test_a_process_ends_with_a_block_that_fails():
    with (
        pytest.raises(ValueError, match="in the block"),
        running(python(SLEEP), os.environ, subprocess.DEVNULL) as process,
    ):
        raise ValueError("in the block")
    assert process.returncode == -signal.SIGTERM


def test_a_process_that_ignores_sigterm_is_killed_with_its_children(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_STOP_TIMEOUT", 0.2)
    log = tmp_path / "log"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {IGNORE_SIGTERM!r}]); {IGNORE_SIGTERM}"
    with log.open("wb") as output, running(python(code), os.environ, output) as process:
        wait_until_up(process, lambda: log.read_text().count("up") == 2, 60)
        (child,) = psutil.Process(process.pid).children()
    assert process.returncode == -signal.SIGKILL
    child.wait(10)


def test_a_process_that_ends_before_it_is_up():
    with (
        running(python("raise SystemExit(3)"), os.environ) as process,
        pytest.raises(ProcessError, match=r"^ended with exit code 3$"),
    ):
        wait_until_up(process, lambda: False, 60)


def test_a_process_that_is_not_up_in_time():
    started = time.monotonic()
    with (
        running(python(SLEEP), os.environ, subprocess.DEVNULL) as process,
        pytest.raises(ProcessError, match=r"^was not ready within 0 s$"),
    ):
        wait_until_up(process, lambda: False, 0.1)
    assert time.monotonic() - started < 30
