"""A ``python -m portable_model_server`` of its own, and a client for gRPC and REST."""

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from brain_tumor.processes import ProcessError, free_port, listens, running, wait_until_up
from serving_api import requests
from serving_api.messages import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    PredictRequest,
    PredictResponse,
)
from serving_api.services import ModelStub, PredictionStub
from tests.processes import CLEAN_ENVIRONMENT, START_TIMEOUT

CALL_S = 30


@dataclass
class Response:
    """A response over REST."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ServerProcess:
    """Runs within its ``with`` block; what is left of it at the end is killed."""

    def __init__(
        self, log: Path, *flags: str, ports: bool = True, environment: Mapping[str, str] | None = None
    ) -> None:
        self.grpc_port, self.rest_port = free_port(), free_port()
        self._log = log
        own = (f"--port={self.grpc_port}", f"--rest_api_port={self.rest_port}", "--host=127.0.0.1") if ports else ()
        self._command = [sys.executable, "-m", "portable_model_server", *own, *flags]
        self._environment = {**CLEAN_ENVIRONMENT, "TF_CPP_MIN_LOG_LEVEL": "2", **(environment or {})}
        self._resources = ExitStack()

    def __enter__(self) -> "ServerProcess":
        output = self._resources.enter_context(self._log.open("wb"))
        self.process = self._resources.enter_context(running(self._command, self._environment, output))
        self.channel = self._resources.enter_context(
            grpc.insecure_channel(
                f"127.0.0.1:{self.grpc_port}",
                # Each server has a channel of its own: a shared one would remember the refusals of another server.
                options=[("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)],
            )
        )
        self.prediction = PredictionStub(self.channel)
        self.model = ModelStub(self.channel)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self._resources.close()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def ready(self) -> "ServerProcess":
        """Wait until both ports are open."""
        try:
            wait_until_up(self.process, lambda: listens(self.grpc_port) and listens(self.rest_port), START_TIMEOUT)
        except ProcessError as error:
            raise AssertionError(f"the server {error}:\n{self.log}") from None
        return self

    def insist(self, request: PredictRequest, timeout: float = 60) -> PredictResponse:
        """Predict, again and again while the call is refused because too many run."""
        while True:
            try:
                return self.prediction.Predict(request, timeout=timeout)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise

    def full(self, model: str) -> bool:
        """Whether gRPC calls are refused because as many as allowed run."""
        try:
            self.metadata(model)
        except grpc.RpcError as error:
            return error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return False

    def rest_is_busy(self, model: str, body: Any) -> bool:
        """Whether a prediction over REST has to wait for others."""
        try:
            self.post(model, body, timeout=0.3)
        except TimeoutError:
            return True
        return False

    def exit_code(self, within_s: float = START_TIMEOUT) -> int:
        """Wait for the end of the process."""
        return self.process.wait(within_s)

    def predict(
        self, model: str, outputs: tuple[str, ...] = (), *, timeout: float = CALL_S, **options: Any
    ) -> PredictResponse:
        """Predict over gRPC, with the options of ``predict_request``."""
        return self.prediction.Predict(predict_request(model, outputs, **options), timeout=timeout)

    def status(self, model: str, version: int | None = None) -> dict[int, int]:
        """Each version's state."""
        request = GetModelStatusRequest()
        request.model_spec.name = model
        if version is not None:
            request.model_spec.version.value = version
        response = self.model.GetModelStatus(request, timeout=CALL_S)
        return {entry.version: entry.state for entry in response.model_version_status}

    def metadata(self, model: str, *fields: str) -> GetModelMetadataResponse:
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
    ) -> Response:
        """Call REST; a body that is not bytes goes as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.rest_port}{path}", data, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return Response(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Response(error.code, dict(error.headers), error.read())

    def post(self, model: str, body: Any, headers: dict[str, str] | None = None, timeout: float = CALL_S) -> Response:
        return self.http("POST", f"/v1/models/{model}:predict", body, headers, timeout)


def predict_request(
    model: str,
    outputs: tuple[str, ...] = (),
    *,
    signature: str = "",
    version: int | None = None,
    label: str = "",
    **inputs: Any,
) -> PredictRequest:
    """A PredictRequest; each further option is an input, an array or a TensorProto."""
    request = requests.predict_request(model, signature, inputs, outputs, version)
    if label:
        request.model_spec.version_label = label
    return request
