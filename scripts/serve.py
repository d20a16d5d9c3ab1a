"""Both tiers on this machine until Ctrl-C: python -m scripts.serve (what ``make run`` calls).

The portable model server and the gateway run as two processes of their own, as they do in a cluster.
"""

import argparse
import contextlib
import errno
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from brain_tumor.contract import MODEL_NAME
from gateway.settings import Settings

ROOT = Path(__file__).parent.parent
SHIPPED_MODELS = ROOT / "model-server" / "models"
SAMPLE = ROOT / "examples" / "glioma.jpg"
READY_TIMEOUT = 120.0  # seconds; a full-size model takes a few
STOP_TIMEOUT = 35.0  # seconds; above the gateway's and the model server's own grace


class ServeError(Exception):
    """Serving cannot start or go on; the message says what to do."""


def main() -> int:
    """Serve until a signal comes or a tier ends; 0 after a signal, 1 with a message otherwise."""
    options = _parse_arguments()
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_stopped_by_signals())
            _require_free(
                options.host, {"PORT": options.port, "GRPC_PORT": options.grpc_port, "REST_PORT": options.rest_port}
            )
            models = SHIPPED_MODELS
            if options.keras_model:
                models = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="brain-tumor-")))
                _convert(options.keras_model, models)
            _serve(stack, options, models)
    except _Stopped:
        print("\nStopped.", flush=True)
        return 0
    except ServeError as error:
        print(error, file=sys.stderr)
    return 1


def _serve(stack: contextlib.ExitStack, options: argparse.Namespace, models: Path) -> None:
    """Start both tiers, say where they are, and watch them; returns only by an exception."""
    print("Starting the model server and the gateway ...", flush=True)
    tiers = {
        "model server": stack.enter_context(
            _running(_model_server_command(options, models), {"PYTHONPATH": "model-server"})
        ),
        "gateway": stack.enter_context(
            _running(
                [sys.executable, "-m", "gateway"],
                {
                    "GATEWAY_BIND": f"{options.host}:{options.port}",
                    "MODEL_SERVER_ADDRESS": f"{options.host}:{options.grpc_port}",
                    "MODEL_NAME": MODEL_NAME,
                },
            )
        ),
    }
    address = f"http://{options.host}:{options.port}"
    _wait_until_ready(f"{address}/readyz", tiers)
    print(
        f"\nReady on {address} (Ctrl-C stops). In another terminal:\n\n"
        f"  curl -F image=@{shlex.quote(str(SAMPLE))} {address}/predict\n",
        flush=True,
    )
    while True:
        _require_running(tiers)
        time.sleep(0.5)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.serve", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address both tiers listen on")
    parser.add_argument("--port", type=_port, default=9696, help="of the gateway")
    parser.add_argument("--grpc-port", type=_port, default=8500, help="of the model server's gRPC API")
    parser.add_argument("--rest-port", type=_port, default=8501, help="of the model server's REST API")
    parser.add_argument(
        "--keras-model", type=Path, help="convert and serve this .keras file instead of the shipped model"
    )
    return parser.parse_args()


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)


def _model_server_command(options: argparse.Namespace, models: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "portable_model_server",
        f"--host={options.host}",
        f"--port={options.grpc_port}",
        f"--rest_api_port={options.rest_port}",
        f"--model_name={MODEL_NAME}",
        f"--model_base_path={models / MODEL_NAME}",
        # Above what one gateway has in flight: the gateway refuses, this server need not.
        f"--grpc_max_threads={2 * Settings.max_in_flight}",
    ]


def _convert(keras_model: Path, models: Path) -> None:
    command = [sys.executable, "-m", "converter", str(keras_model.resolve()), str(models)]
    if subprocess.run([*command, "--name", MODEL_NAME, "--version", "1"], cwd=ROOT, check=False).returncode != 0:  # noqa: S603
        raise ServeError("The model was not converted, so nothing is served.")


def _require_free(host: str, ports: dict[str, int]) -> None:
    """Hold all ports (by the name that ``make run`` has for each) for a moment, so that none is used twice."""
    with contextlib.ExitStack() as probes:
        for variable, port in ports.items():
            probe = probes.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                probe.listen()
            except OSError as error:
                advice = "Give an IPv4 address of this machine."
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    advice = f"End what uses it, or choose another port: make run {variable}=NUMBER"
                raise ServeError(f"Cannot listen on {host} port {port}: {error.strerror or error}. {advice}") from None


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A tier's process in a session of its own, so that Ctrl-C reaches it only through the SIGTERM sent here."""
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, start_new_session=True)  # noqa: S603
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_ready(url: str, tiers: dict[str, subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy leads to this machine
    while time.monotonic() < deadline:
        _require_running(tiers)
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            opener.open(url, timeout=2),
        ):
            return
        time.sleep(0.05)
    raise ServeError(f"The service was not ready within {READY_TIMEOUT:.0f} s; see the messages above.")


def _require_running(tiers: dict[str, subprocess.Popen[bytes]]) -> None:
    for name, process in tiers.items():
        if process.poll() is not None:
            raise ServeError(f"The {name} ended with exit code {process.returncode}; see the messages above.")


class _Stopped(BaseException):
    """SIGINT or SIGTERM; not an Exception, as KeyboardInterrupt is not."""


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        # A second Ctrl-C must not interrupt the orderly end.
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise _Stopped

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    yield


if __name__ == "__main__":
    sys.exit(main())
