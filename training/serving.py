"""A trained network as it is served: converted, and asked through a portable model server on this machine."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import numpy as np
from numpy.typing import NDArray

from brain_tumor.contract import IMAGES, MODEL_NAME, PREDICT_SIGNATURE, PROBABILITIES
from serving_api.messages import PredictRequest
from serving_api.services import PredictionStub
from serving_api.tensors import from_array, to_array
from training.errors import TrainingError

_ROOT = Path(__file__).parents[1]
_LOAD_SECONDS = 120
_DEADLINE = 60.0  # seconds for one request


class ServingError(TrainingError):
    """The converter or the model server did not do its work; the message has its words."""


def convert(model: Path, models: Path, version: int = 1) -> Path:
    """Convert a .keras file, with its card beside it, into ``models``; returns the version's folder.

    One that is there stays.

    Raises:
        ServingError: the converter refuses it.
    """
    target = models / MODEL_NAME / str(version)
    if target.exists():
        return target
    command = [sys.executable, "-m", "converter", str(model.resolve()), str(models.resolve())]
    command += ["--name", MODEL_NAME, "--version", str(version)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise ServingError(f"{model} cannot be converted: {last[0].removeprefix('error: ')}")
    return target


class Served:
    """A model that a server on this machine has loaded."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._predict = PredictionStub(channel).Predict

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Ask for a batch, uint8 (n, side, side, 3): float32 (n, class).

        Raises:
            ServingError: the server does not answer.
        """
        request = PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = MODEL_NAME, PREDICT_SIGNATURE
        request.inputs[IMAGES].CopyFrom(from_array(pixels))
        request.output_filter.append(PROBABILITIES)
        try:
            answer = self._predict(request, timeout=_DEADLINE)
        except grpc.RpcError as error:
            raise ServingError(f"the model server does not answer: {error.code().name}") from error
        return to_array(answer.outputs[PROBABILITIES])


@contextmanager
def served(version: Path) -> Iterator[Served]:
    """Serve the newest version beside ``version`` while the block lasts.

    Raises:
        ServingError: the server does not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "portable_model_server", f"--port={port}", "--host=127.0.0.1"]
    command += [f"--model_name={MODEL_NAME}", f"--model_base_path={version.parent.resolve()}"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": str(_ROOT / "model-server")}
    server = subprocess.Popen(  # noqa: S603 - our own program
        command, cwd=_ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            ready = grpc.channel_ready_future(channel)
            for _ in range(_LOAD_SECONDS):
                with suppress(grpc.FutureTimeoutError):
                    ready.result(1)
                if ready.done() or server.poll() is not None:
                    break
            if not ready.done():
                ready.cancel()
                raise ServingError(f"the model server does not start with {version}")
            yield Served(channel)
    finally:
        server.terminate()
        server.wait()
