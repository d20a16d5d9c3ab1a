"""Both tiers as processes on this machine: their commands, how they start, when they are up, and how they end.

``make run``, the experiment, the benchmarks and the tests all start the tiers through this module.
"""

import contextlib
import errno
import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from brain_tumor.contract import MODEL_NAME

ROOT = Path(__file__).parent.parent
SHIPPED_MODEL = ROOT / "model-server" / "models" / MODEL_NAME  # the folder of its version folders
_STOP_TIMEOUT = 35.0  # seconds; longer than either tier's own grace period
_POLL_INTERVAL = 0.02  # seconds
# Below the ports that the kernel gives to whoever asks for any: another process may get such a one before the caller
# listens on it.
_PORTS = range(10_000, 30_000)
_PORTS_TRIED = 100


class ProcessError(Exception):
    """A process ended, or was not ready in time. The message is a predicate: "ended with exit code 1"."""


def model_server_command(
    base_path: Path, *flags: str, port: int, rest_port: int = 0, host: str = "127.0.0.1", name: str = MODEL_NAME
) -> list[str]:
    """The command of the portable model server with one model.

    Args:
        base_path: The folder of the model's version folders.
        flags: Further flags, ``--flag=value``.
        port: The port of the gRPC API.
        rest_port: The port of the REST API; 0 opens none.
        host: The address to listen on.
        name: The model's name.
    """
    command = [sys.executable, "-m", "portable_model_server", f"--host={host}", f"--port={port}"]
    command += [f"--rest_api_port={rest_port}"] if rest_port else []
    return [*command, f"--model_name={name}", f"--model_base_path={base_path.resolve()}", *flags]


def gateway_command() -> list[str]:
    """The command of the gateway. Its settings are environment variables."""
    return [sys.executable, "-m", "gateway"]


def free_port(among: Sequence[int] = _PORTS) -> int:
    """A port of 127.0.0.1 that no process listens on now.

    Raises:
        OSError: Too many of them are taken.
    """
    for port in secrets.SystemRandom().sample(among, min(len(among), _PORTS_TRIED)):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(errno.EADDRINUSE, f"No free port was found from {among[0]} to {among[-1]}: end some servers")


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a process accepts connections on this port."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def responds(url: str) -> bool:
    """Whether a GET of this URL succeeds within 2 seconds. Proxies are ignored: the URL leads to this machine."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(OSError, http.client.HTTPException), opener.open(url, timeout=2):
        return True
    return False


@contextlib.contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], output: IO[bytes] | int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process while the block runs. At its end the process gets SIGTERM, and SIGKILL if it does not end in time.

    The process has a session of its own, so that Ctrl-C does not reach it directly, but only as that SIGTERM.

    Args:
        command: The program and its arguments; it runs in the checkout's root.
        environment: The whole environment of the process.
        output: Where its standard output and error go. None leaves them where this process has them.
    """
    process = subprocess.Popen(  # noqa: S603 - our own programs
        command,
        cwd=ROOT,
        env=dict(environment),
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
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
    """Wait until ``is_up`` returns True.

    Args:
        process: The process that is starting.
        is_up: Called again and again.
        timeout: In seconds.

    Raises:
        ProcessError: The process ended before, or the time is over.
    """
    deadline = time.monotonic() + timeout
    while not is_up():
        if process.poll() is not None:
            raise ProcessError(f"ended with exit code {process.returncode}")
        if time.monotonic() > deadline:
            raise ProcessError(f"was not ready within {timeout:.0f} s")
        time.sleep(_POLL_INTERVAL)
