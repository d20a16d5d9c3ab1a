"""Both tiers as processes on this machine: how each is called, started, awaited and ended.

``make run``, the experiment, the benchmarks and the tests start them here, and only here.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from brain_tumor.contract import MODEL_NAME

ROOT = Path(__file__).parent.parent
_STOP_TIMEOUT = 35.0  # seconds; above both tiers' own grace
_POLL_INTERVAL = 0.02  # seconds


class ProcessError(Exception):
    """A tier ended, or was not ready in time; the message says which."""


def model_server_command(
    base_path: Path, *flags: str, port: int, rest_port: int = 0, host: str = "127.0.0.1", name: str = MODEL_NAME
) -> list[str]:
    """The portable model server with one model.

    Args:
        base_path: the folder of the model's version folders.
        flags: further ones, ``--flag=value``.
        port, rest_port: of gRPC and REST; 0 opens none.
    """
    command = [sys.executable, "-m", "portable_model_server", f"--host={host}", f"--port={port}"]
    command += [f"--rest_api_port={rest_port}"] if rest_port else []
    return [*command, f"--model_name={name}", f"--model_base_path={base_path.resolve()}", *flags]


def gateway_command() -> list[str]:
    """The gateway; its settings are environment variables."""
    return [sys.executable, "-m", "gateway"]


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], output: IO[bytes] | int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, ended with SIGTERM, and with SIGKILL where that does not do.

    In its own session, Ctrl-C reaches it only through that SIGTERM.

    Args:
        environment: all of it.
        output: where standard output and error go; None leaves them where this process has them.
    """
    process = subprocess.Popen(  # noqa: S603 - our own programs
        command,
        cwd=ROOT,
        env=dict(environment),
        stdout=output,
        stderr=output and subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_up(process: subprocess.Popen[bytes], is_up: Callable[[], bool], timeout: float) -> None:
    """Poll until ``is_up``.

    Args:
        timeout: seconds.

    Raises:
        ProcessError: the process ended before, or the time is over.
    """
    deadline = time.monotonic() + timeout
    while not is_up():
        if process.poll() is not None:
            raise ProcessError(f"ended with exit code {process.returncode}")
        if time.monotonic() > deadline:
            raise ProcessError(f"was not ready within {timeout:.0f} s")
        time.sleep(_POLL_INTERVAL)
