"""Real servers for tests: each runs as a process of its own and is ended by its own id."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from brain_tumor.processes import gateway_command

ROOT = Path(__file__).parent.parent
SHIPPED_MODEL = ROOT / "model-server" / "models" / "brain-tumor"
EXAMPLES = ROOT / "examples"
START_TIMEOUT = 60.0
# A developer's own settings must not reach the servers under test.
CLEAN_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "MODEL_"))}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    condition: Callable[[], bool], what: str, log: Path | None = None, timeout: float = START_TIMEOUT
) -> None:
    """Poll until the condition holds; fail with ``what`` and what ``log`` holds after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout:.0f} s\n{log.read_text() if log else ''}")
        time.sleep(0.02)


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def answers(url: str) -> bool:
    with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=2):
        return True
    return False


@dataclass(frozen=True)
class Server:
    """A running server process, its ports, and the file its output goes to."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int
    rest_port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def process(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose output goes to ``log``; ended with SIGTERM, and with SIGKILL where that does not do."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env={**CLEAN_ENVIRONMENT, **(environment or {})}
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_until_up(child: subprocess.Popen[bytes], up: Callable[[], bool], log: Path) -> None:
    wait_until(lambda: child.poll() is not None or up(), f"start of {child.args!r}", log)
    assert child.poll() is None, f"ended with {child.returncode}:\n{log.read_text()}"


@contextlib.contextmanager
def model_server(
    log: Path, *flags: str, name: str = "brain-tumor", base_path: Path = SHIPPED_MODEL, port: int | None = None
) -> Iterator[Server]:
    """The portable model server with one model, once its ports are open."""
    port, rest_port = port or free_port(), free_port()
    command = [
        sys.executable,
        "-m",
        "portable_model_server",
        "--host=127.0.0.1",
        f"--port={port}",
        f"--rest_api_port={rest_port}",
    ]
    command += [f"--model_name={name}", f"--model_base_path={base_path}", "--file_system_poll_wait_seconds=1", *flags]
    with process(command, log, {"PYTHONPATH": "model-server"}) as child:
        wait_until_up(child, lambda: listens(port) and listens(rest_port), log)
        yield Server(child, log, port, rest_port)


@contextlib.contextmanager
def gateway(
    log: Path, model_server_port: int, command: Sequence[str] = tuple(gateway_command()), **settings: str
) -> Iterator[Server]:
    """The gateway, once it is alive; ``settings`` are environment variables."""
    port = free_port()
    environment = {"GATEWAY_BIND": f"127.0.0.1:{port}", "MODEL_SERVER_ADDRESS": f"127.0.0.1:{model_server_port}"}
    with process(list(command), log, {**environment, **settings}) as child:
        wait_until_up(child, lambda: answers(f"http://127.0.0.1:{port}/livez"), log)
        yield Server(child, log, port)
