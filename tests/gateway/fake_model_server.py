"""A real gRPC server with TensorFlow Serving's API whose models and faults a test programs."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import grpc
import numpy as np

from brain_tumor import contract
from brain_tumor.metadata import ImageSpec, ModelMetadata
from brain_tumor.reference import Histogram
from serving_api.messages import PredictResponse
from serving_api.services import PREDICTION_SERVICE, handler
from serving_api.tensors import from_array, to_array
from tests.processes import wait_until

CLASSES = ("glioma", "meningioma", "notumor", "pituitary")
SMALL = ImageSpec(24, 32)


@dataclass
class FakeModel:
    """One version. Its probability of class k rises with the mean of colour channel k (of three) of the image."""

    metadata: ModelMetadata
    version: int = 1
    metadata_text: str | None = None  # instead of the metadata's own
    guards_shape: bool = True

    def outputs(self, images: np.ndarray) -> dict[str, np.ndarray]:
        classes = len(self.metadata.class_names)
        means = images.mean(axis=(1, 2)) / 255  # (batch, 3)
        logits = np.zeros((len(images), classes))
        logits[:, : min(3, classes)] = 8 * means[:, :classes]
        exponentials = np.exp(logits)
        outputs = {
            contract.PROBABILITIES: (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32),
            contract.OUT_OF_DISTRIBUTION: -np.log(exponentials.sum(axis=1)).astype(np.float32),
        }
        if self.metadata.explains:
            maps = np.zeros((len(images), 4, 5, classes), np.float32)
            maps[:, 0, 0, :] = np.arange(classes)[::-1] + 1  # evidence for the first class in the top left corner
            outputs[contract.ACTIVATION_MAPS] = maps
        return outputs


# How a fake model's images were spread at its validation, for whom that matters.
REFERENCE = {
    "classes": Histogram((0, 1, 2), (25, 25, 25, 25)),
    "confidence": Histogram((0.5, 0.9), (20, 50, 30)),
    "ood_score": Histogram((-8.0, -7.0), (30, 40, 30)),
    "brightness": Histogram((50.0, 100.0), (60, 20, 20)),
    "size": Histogram((16, 64), (0, 100, 0)),
}


def metadata(**changes: object) -> ModelMetadata:
    """Metadata for tests, with other fields, also of the image; small images keep them quick."""
    of_image = {name: changes.pop(name) for name in vars(SMALL) if name in changes}
    return ModelMetadata(**{"class_names": CLASSES, "image": replace(SMALL, **of_image), "explains": True, **changes})


@dataclass
class FakeModelServer:
    """What the server does; a test may change it while requests run."""

    port: int
    server: grpc.Server
    name: str = contract.MODEL_NAME
    model: FakeModel = field(default_factory=lambda: FakeModel(metadata()))
    older: list[FakeModel] = field(default_factory=list)  # loaded besides, reached by version or label alone
    labels: dict[str, int] = field(default_factory=dict)  # of versions
    # signature -> raises a fault by context.abort, or waits; None is no fault
    fault: Callable[[str, grpc.ServicerContext], None] | None = None
    edit: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]] | None = None  # of the outputs of predictions
    after_describe: Callable[[], None] | None = None
    calls: list[tuple[str, list[str]]] = field(default_factory=list)  # (signature, output_filter)
    peers: set[str] = field(default_factory=set)  # the addresses that called
    headers: list[dict[str, str]] = field(default_factory=list)  # the metadata of each call
    batches: list[np.ndarray] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def count(self, signature: str) -> int:
        with self.lock:
            return sum(1 for called, _ in self.calls if called == signature)

    def Predict(self, request, context):  # noqa: N802 - the API's name
        signature = request.model_spec.signature_name
        with self.lock:
            self.calls.append((signature, list(request.output_filter)))
            self.peers.add(context.peer())
            self.headers.append(dict(context.invocation_metadata()))
        if request.model_spec.name != self.name:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {request.model_spec.name}")
        model = self._model(request.model_spec, context)
        if self.fault:
            self.fault(signature, context)
        response = PredictResponse()
        response.model_spec.name = self.name
        response.model_spec.signature_name = signature
        response.model_spec.version.value = model.version
        if signature == contract.DESCRIBE_SIGNATURE:
            assert not request.inputs, "models of older converters take none"
            outputs = {contract.METADATA: np.array(_text(model).encode(), dtype=object)}
            if self.after_describe:
                self.after_describe()
        elif signature == contract.PREDICT_SIGNATURE:
            outputs = self._predict(model, request, context)
        else:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{signature}" not found.')
        for name in request.output_filter:
            if name not in outputs:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"output tensor alias not found in signature: {name}")
            response.outputs[name].CopyFrom(from_array(outputs[name]))
        return response

    def _model(self, spec, context) -> FakeModel:
        chosen = spec.WhichOneof("version_choice")
        if chosen is None:
            return self.model
        version = self.labels.get(spec.version_label) if chosen == "version_label" else spec.version.value
        for model in (self.model, *self.older):
            if model.version == version:
                return model
        context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific")

    def _predict(self, model: FakeModel, request, context) -> dict[str, np.ndarray]:
        images = to_array(request.inputs[contract.IMAGES])
        with self.lock:
            self.batches.append(images)
        assert images.dtype == np.uint8
        if model.guards_shape and images.shape[1:] != (model.metadata.image.height, model.metadata.image.width, 3):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "images must be (batch, height, width, 3)")
        outputs = model.outputs(images)
        return self.edit(outputs) if self.edit else outputs


def _text(model: FakeModel) -> str:
    return model.metadata.to_json() if model.metadata_text is None else model.metadata_text


@contextmanager
def fake_model_server(port: int = 0, *, host: str = "127.0.0.1", threads: int = 16) -> Iterator[FakeModelServer]:
    """A running server on loopback, on this port, or on a free one."""
    pool = ThreadPoolExecutor(threads)
    server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
    fake = FakeModelServer(server.add_insecure_port(f"{host}:{port}"), server)
    server.add_generic_rpc_handlers([handler(PREDICTION_SERVICE, fake)])
    server.start()
    try:
        yield fake
    finally:
        server.stop(grace=None).wait()
        pool.shutdown()


def abort_with(code: grpc.StatusCode, only: str | None = None) -> Callable[[str, grpc.ServicerContext], None]:
    """A fault: this code, for every signature or for one."""

    def fault(signature: str, context: grpc.ServicerContext) -> None:
        if only in (None, signature):
            context.abort(code, "a fault of the test, with 10.1.2.3 inside")

    return fault


def hold_until(event: threading.Event, only: str | None = None) -> Callable[[str, grpc.ServicerContext], None]:
    """A fault: no response until the event is set."""

    def fault(signature: str, context: grpc.ServicerContext) -> None:
        if only in (None, signature):
            event.wait(20)

    return fault


def wait_for(condition: Callable[[], object], timeout: float = 10.0) -> None:
    """``wait_until`` for a condition that needs no name."""
    wait_until(lambda: bool(condition()), "the condition", timeout=timeout)


def classic_metadata(**fields: object) -> str:
    """Metadata as text, written by hand."""
    return json.dumps({"class_names": ["no", "yes"], "image": {"height": 24, "width": 32}, **fields})
