"""A real ``python -m portable_model_server`` and a client for its two doors."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from serving_api.messages import GetModelMetadataRequest, GetModelStatusRequest, PredictRequest
from serving_api.services import ModelStub, PredictionStub
from serving_api.tensors import from_array
from tests.processes import ROOT, START_TIMEOUT, free_port, listens, wait_until

CALL_S = 30


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ServerProcess:
    """Runs until it is left; leaving it kills what is still there."""

    def __init__(self, log: Path, *flags: str, ports: bool = True) -> None:
        self.grpc_port, self.rest_port = free_port(), free_port()
        self._log = log
        own = (f"--port={self.grpc_port}", f"--rest_api_port={self.rest_port}", "--host=127.0.0.1") if ports else ()
        path = os.pathsep.join([str(ROOT / "model-server"), str(ROOT)])
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "portable_model_server", *own, *flags],
                cwd=log.parent,
                env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2"},
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self._channel = grpc.insecure_channel(
            f"127.0.0.1:{self.grpc_port}",
            # A channel of its own for each server: a shared one would remember the other's refusals.
            options=[("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)],
        )
        self.prediction = PredictionStub(self._channel)
        self.model = ModelStub(self._channel)

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def channel(self) -> grpc.Channel:
        return self._channel

    def ready(self) -> "ServerProcess":
        """Wait until both ports are open."""

        def open_or_ended() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log}")
            return listens(self.grpc_port) and listens(self.rest_port)

        wait_until(open_or_ended, "the server's ports")
        return self

    def insist(self, request: Any, timeout: float = 60) -> Any:
        """Predict; ask again while refused for too many calls."""
        while True:
            try:
                return self.prediction.Predict(request, timeout=timeout)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise

    def full(self, model: str) -> bool:
        """Whether gRPC calls are refused since as many as may are under way."""
        try:
            self.metadata(model)
        except grpc.RpcError as error:
            return error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return False

    def rest_is_busy(self) -> bool:
        """Whether every REST thread has something to do."""
        try:
            self.http("GET", "/v1/models/any", timeout=0.5)
        except TimeoutError:
            return True
        return False

    def exit_code(self, within_s: float = START_TIMEOUT) -> int:
        """Wait for the end."""
        return self.process.wait(within_s)

    def predict(self, model: str, outputs: tuple[str, ...] = (), *, timeout: float = CALL_S, **options: Any) -> Any:
        """Predict over gRPC; ``options``: signature, version, label; every other one is an input."""
        return self.prediction.Predict(predict_request(model, outputs, **options), timeout=timeout)

    def status(self, model: str, version: int | None = None) -> dict[int, int]:
        """Each version's state."""
        request = GetModelStatusRequest()
        request.model_spec.name = model
        if version is not None:
            request.model_spec.version.value = version
        response = self.model.GetModelStatus(request, timeout=CALL_S)
        return {entry.version: entry.state for entry in response.model_version_status}

    def metadata(self, model: str, *fields: str) -> Any:
        request = GetModelMetadataRequest(metadata_field=fields or ["signature_def"])
        request.model_spec.name = model
        return self.prediction.GetModelMetadata(request, timeout=CALL_S)

    def http(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        timeout: float = CALL_S,
    ) -> Answer:
        """Call REST; a body that is not bytes goes as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.rest_port}{path}", data, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return Answer(response.status, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read())

    def post(self, model: str, body: Any, headers: dict[str, str] | None = None) -> Answer:
        return self.http("POST", f"/v1/models/{model}:predict", body, headers)


def predict_request(
    model: str,
    outputs: tuple[str, ...] = (),
    *,
    signature: str = "",
    version: int | None = None,
    label: str = "",
    **inputs: Any,
) -> Any:
    """A PredictRequest; the inputs are arrays or TensorProtos."""
    request = PredictRequest(output_filter=outputs)
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(from_array(value) if hasattr(value, "shape") else value)
    return request
