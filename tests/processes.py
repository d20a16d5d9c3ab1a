"""Real servers for tests: each is a process of its own, with a log file, and is ended by its own id."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from brain_tumor.contract import MODEL_NAME
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
)
from brain_tumor.processes import wait_until_up as wait_until_process_is_up

EXAMPLES = ROOT / "examples"
START_TIMEOUT = 60.0
# A developer's own settings must not reach the servers under test.
_SETTINGS = ("GATEWAY_", "MODEL_", "CANARY_", "OTEL_")
CLEAN_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}


def has_ipv6() -> bool:
    """Whether this machine has an address of IPv6 to test with."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def wait_until(
    condition: Callable[[], bool], what: str, log: Path | None = None, timeout: float = START_TIMEOUT
) -> None:
    """Poll until the condition holds; after ``timeout`` seconds fail with ``what`` and the content of ``log``."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout:.0f} s\n{log.read_text() if log else ''}")
        time.sleep(0.02)


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
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a clean environment whose output goes to ``log``; it is ended as ``make run`` ends the tiers."""
    with log.open("ab") as output, running(command, {**CLEAN_ENVIRONMENT, **(environment or {})}, output) as child:
        yield child


def wait_until_up(child: subprocess.Popen[bytes], is_up: Callable[[], bool], log: Path) -> None:
    """Wait until a server is up; fail with the content of its log if it is not."""
    try:
        wait_until_process_is_up(child, is_up, START_TIMEOUT)
    except ProcessError as error:
        raise AssertionError(f"{child.args!r} {error}:\n{log.read_text()}") from None


@contextlib.contextmanager
def model_server(
    log: Path,
    *flags: str,
    name: str = MODEL_NAME,
    base_path: Path = SHIPPED_MODEL,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """The portable model server with one model, once its ports are open; with more variables of the environment."""
    port, rest_port = port or free_port(), free_port()
    flags = ("--file_system_poll_wait_seconds=1", *flags)
    command = model_server_command(base_path, *flags, port=port, rest_port=rest_port, name=name)
    with process(command, log, environment) as child:
        wait_until_up(child, lambda: listens(port) and listens(rest_port), log)
        yield Server(child, log, port, rest_port)


@contextlib.contextmanager
def gateway(
    log: Path, model_server_port: int, command: Sequence[str] = tuple(gateway_command()), **settings: str
) -> Iterator[Server]:
    """The gateway, once it is alive; ``settings`` are environment variables."""
    port = free_port()
    environment = {"GATEWAY_BIND": f"127.0.0.1:{port}", "MODEL_SERVER_ADDRESS": f"127.0.0.1:{model_server_port}"}
    with process(command, log, {**environment, **settings}) as child:
        wait_until_up(
            child, lambda: responds(f"http://{settings.get('GATEWAY_ADMIN_BIND', f'127.0.0.1:{port}')}/livez"), log
        )
        yield Server(child, log, port)
