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
from pathlib import Path

from brain_tumor.contract import MODEL_NAME
from brain_tumor.processes import (
    ROOT,
    SHIPPED_MODEL,
    ProcessError,
    gateway_command,
    model_server_command,
    responds,
    running,
    wait_until_up,
)
from gateway.settings import Settings

SAMPLE = ROOT / "examples" / "glioma.jpg"
READY_TIMEOUT = 120.0  # seconds; a full-size model takes a few


class ServeError(Exception):
    """The service cannot start or go on. The message says what to do."""


def main() -> int:
    """Serve until a signal comes or a tier ends.

    Returns:
        The exit code: 0 after a signal, otherwise 1 after a message.
    """
    options = _parse_arguments()
    try:
        with contextlib.ExitStack() as stack:
            _stop_on_signals()
            _require_free(
                options.host, {"PORT": options.port, "GRPC_PORT": options.grpc_port, "REST_PORT": options.rest_port}
            )
            model = SHIPPED_MODEL
            if options.keras_model:
                models = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="brain-tumor-")))
                _convert(options.keras_model, models)
                model = models / MODEL_NAME
            _serve(stack, options, model)
    except _Stopped:
        print("\nStopped.", flush=True)
        return 0
    except ServeError as error:
        print(error, file=sys.stderr)
    return 1


def _serve(stack: contextlib.ExitStack, options: argparse.Namespace, model: Path) -> None:
    """Start both tiers, print their address, and watch them; returns only by an exception."""
    print("Starting the model server and the gateway ...", flush=True)
    model_server = model_server_command(
        model,
        # More than one gateway has in flight: the gateway refuses requests, so that this server need not.
        f"--grpc_max_threads={2 * Settings.max_in_flight}",
        port=options.grpc_port,
        rest_port=options.rest_port,
        host=options.host,
    )
    settings = {
        "GATEWAY_BIND": f"{options.host}:{options.port}",
        "MODEL_SERVER_ADDRESS": f"{options.host}:{options.grpc_port}",
        "MODEL_NAME": MODEL_NAME,
    }
    tiers = {
        "model server": stack.enter_context(running(model_server, os.environ)),
        "gateway": stack.enter_context(running(gateway_command(), {**os.environ, **settings})),
    }
    address = f"http://{options.host}:{options.port}"
    _wait_until_ready(f"{address}/readyz", tiers)
    key = '-H "Authorization: Bearer KEY" ' if os.environ.get("GATEWAY_KEYS_FILE") else ""
    print(
        f"\nReady on {address}/ (Ctrl-C stops). Open it in a browser, or in another terminal:\n\n"
        f"  curl {key}-F image=@{shlex.quote(str(SAMPLE))} {address}/predict\n",
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
        "--keras-model",
        type=Path,
        help="convert and serve this .keras or HDF5 file or SavedModel folder instead of the shipped model",
    )
    return parser.parse_args()


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)


def _convert(keras_model: Path, models: Path) -> None:
    command = [sys.executable, "-m", "converter", str(keras_model.resolve()), str(models)]
    if subprocess.run([*command, "--name", MODEL_NAME, "--version", "1"], cwd=ROOT, check=False).returncode != 0:  # noqa: S603
        raise ServeError("The model was not converted, so nothing is served.")


def _require_free(host: str, ports: dict[str, int]) -> None:
    """Listen on all ports for a moment, so that a port in use, or given twice, is found before anything starts.

    Args:
        host: The address to listen on.
        ports: The ports by their variables of ``make run``.

    Raises:
        ServeError: A port is not free.
    """
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


def _wait_until_ready(url: str, tiers: dict[str, subprocess.Popen[bytes]]) -> None:
    def is_ready() -> bool:
        _require_running(tiers)
        return responds(url)

    try:
        wait_until_up(tiers["gateway"], is_ready, READY_TIMEOUT)
    except ProcessError as error:
        _require_running(tiers)
        raise ServeError(f"The service {error}; see the messages above.") from None


def _require_running(tiers: dict[str, subprocess.Popen[bytes]]) -> None:
    for name, process in tiers.items():
        if process.poll() is not None:
            raise ServeError(f"The {name} ended with exit code {process.returncode}; see the messages above.")


class _Stopped(BaseException):
    """SIGINT or SIGTERM has come. Like KeyboardInterrupt it is not an Exception."""


def _stop_on_signals() -> None:
    def stop(number: int, frame: object) -> None:
        # A second Ctrl-C must not interrupt the orderly end.
        for ignored in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ignored, signal.SIG_IGN)
        raise _Stopped

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


if __name__ == "__main__":
    sys.exit(main())
