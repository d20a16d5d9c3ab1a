"""A trained network as it is served: converted, and called through a portable model server on this machine."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
from numpy.typing import NDArray

from brain_tumor.contract import IMAGES, MODEL_NAME, PREDICT_SIGNATURE, PROBABILITIES
from brain_tumor.processes import (
    ROOT,
    ProcessError,
    free_port,
    listens,
    model_server_command,
    running,
    wait_until_up,
)
from serving_api.requests import predict_request
from serving_api.services import PredictionStub
from serving_api.tensors import to_array
from training.errors import TrainingError

_LOAD_TIMEOUT = 120.0  # seconds
_DEADLINE = 60.0  # seconds for one request


class ServingError(TrainingError):
    """The converter or the model server failed; the message quotes it."""


def convert(model: Path, models: Path, version: int = 1) -> Path:
    """Convert a Keras model; a version that exists is left as it is.

    Args:
        model: A .keras file with its metadata beside it.
        models: The folder of the model's folder.
        version: The number of the version.

    Returns:
        The version's folder.

    Raises:
        ServingError: The converter refuses the model.
    """
    target = models / MODEL_NAME / str(version)
    if target.exists():
        return target
    command = [sys.executable, "-m", "converter", str(model.resolve()), str(models.resolve())]
    command += ["--name", MODEL_NAME, "--version", str(version)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise ServingError(f"{model} cannot be converted: {last[0].removeprefix('error: ')}")
    return target


class Served:
    """A model that a server on this machine has loaded."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._predict = PredictionStub(channel).Predict

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The probabilities of a batch.

        Args:
            pixels: uint8 (n, side, side, 3).

        Returns:
            float32 (n, class).

        Raises:
            ServingError: The server does not respond, or refuses the batch.
        """
        request = predict_request(MODEL_NAME, PREDICT_SIGNATURE, {IMAGES: pixels}, [PROBABILITIES])
        try:
            response = self._predict(request, timeout=_DEADLINE)
        except grpc.RpcError as error:
            raise ServingError(f"the model server gives no prediction: {error.code().name}") from error
        return to_array(response.outputs[PROBABILITIES])


@contextmanager
def served(version: Path) -> Iterator[Served]:
    """Serve the newest version beside ``version`` while the block runs, without a GPU.

    Raises:
        ServingError: The server does not start.
    """
    port = free_port()
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    command = model_server_command(version.parent, port=port)
    with running(command, environment, subprocess.DEVNULL) as server:
        try:
            wait_until_up(server, lambda: listens(port), _LOAD_TIMEOUT)
        except ProcessError as error:
            raise ServingError(f"the model server does not start with {version}: it {error}") from error
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Served(channel)
