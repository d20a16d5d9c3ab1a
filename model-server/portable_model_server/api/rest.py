"""TensorFlow Serving's REST API and the metrics page, as a Flask application."""

import re
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import grpc
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from portable_model_server.api import responses, rest_requests, rest_responses
from portable_model_server.api.calls import CallRecorder, mapped_errors
from portable_model_server.engines.memory import trim_heap
from portable_model_server.errors import HTTP_STATUS, ServingError, invalid
from portable_model_server.serving.manager import ModelManager
from portable_model_server.serving.prediction import Predictor
from serving_api.messages import GetModelMetadataRequest, GetModelStatusRequest, ModelSpec

_LARGE_BODY = 1 << 20  # bytes
# Source of both: tensorflow_serving/model_servers/http_rest_api_util.cc.
_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)", re.I | re.A)
_GET = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?P<metadata>/metadata)?", re.I | re.A)


@dataclass(frozen=True)
class RestLimits:
    """What one request may cost.

    Attributes:
        body_bytes: Largest body, in bytes, after decompression.
        prediction_s: How many seconds a caller waits for a prediction once the body is parsed; 0 is for ever.
    """

    body_bytes: int
    prediction_s: float


def create_app(
    manager: ModelManager,
    predictor: Predictor,
    recorder: CallRecorder,
    metrics_page: Callable[[], bytes],
    *,
    metrics_path: str | None,
    limits: RestLimits,
    executor: Executor,
) -> Flask:
    """Create the application.

    Args:
        manager: The models.
        predictor: What runs them.
        recorder: Where calls that run a model are recorded.
        metrics_page: Renders the metrics page.
        metrics_path: Path of the metrics page; None leaves it out.
        limits: Bounds of one request.
        executor: Parses the bodies and runs the predictions, so that no more bodies are parsed, or held parsed, than
            it has threads, and a caller can stop waiting for a prediction that takes too long.
    """
    app = Flask("portable_model_server", static_folder=None)
    app.url_map.merge_slashes = False
    api = _Api(manager, predictor, limits, executor)

    def page() -> Response:
        return Response(metrics_page(), mimetype="text/plain")

    def call(path: str) -> Response:
        match = api.match()
        if match and "method" in match:
            context = recorder.record(match["name"], match["method"].lower(), "REST")
        else:
            context = mapped_errors()
        with context:
            return Response(api.respond(match), mimetype="application/json")

    if metrics_path:
        app.add_url_rule(metrics_path, view_func=page, methods=["GET"])
    app.add_url_rule(
        "/v1/<path:path>",
        view_func=call,
        methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"],
        provide_automatic_options=False,
    )
    app.register_error_handler(ServingError, _serving_error)
    app.register_error_handler(HTTPException, _http_error)
    return app


class _Api:
    """The calls under /v1/, each within its Flask request."""

    def __init__(self, manager: ModelManager, predictor: Predictor, limits: RestLimits, executor: Executor) -> None:
        self._manager = manager
        self._predictor = predictor
        self._limits = limits
        self._executor = executor
        self._parsing = threading.Lock()

    def match(self) -> dict[str, str] | None:
        """Return the named parts of the request's path; None if the path and method are not a call."""
        pattern = {"POST": _POST, "GET": _GET}.get(request.method)
        match = pattern.fullmatch(request.path) if pattern else None
        return {key: value for key, value in match.groupdict().items() if value} if match else None

    def respond(self, match: dict[str, str] | None) -> str:
        """Run the call and return its JSON.

        Raises:
            ServingError: The call failed.
            RequestEntityTooLarge: The decompressed body is larger than allowed.
        """
        if match is None:
            raise invalid(f"Malformed request: {request.method} {request.path}")
        if "name" not in match:
            raise invalid("Missing model name in request.")
        spec = ModelSpec(name=match["name"])
        if "version" in match:
            spec.version.value = _version(match["version"])
        elif "label" in match:
            spec.version_label = match["label"]
        if match.get("method", "").lower() == "predict":
            return self._predict(spec)
        if "method" in match:
            raise ServingError(
                grpc.StatusCode.UNIMPLEMENTED, f"this server does not implement {match['method']}: use predict"
            )
        if "metadata" in match:
            metadata = GetModelMetadataRequest(model_spec=spec, metadata_field=[responses.SIGNATURE_DEF])
            return rest_responses.metadata(responses.metadata(self._manager, metadata))
        return rest_responses.status(responses.status(self._manager, GetModelStatusRequest(model_spec=spec)))

    def _predict(self, spec: ModelSpec) -> str:
        body = request.get_data(cache=False)
        gzipped = request.headers.get("Content-Encoding", "").lower() == "gzip"
        parsed = threading.Event()

        def run() -> str:
            prediction = self._parse(body, gzipped)
            parsed.set()
            with self._manager.hold(spec) as servable:
                signature = servable.model.signatures.get(prediction.signature)
                if signature is None:
                    raise invalid(f'Serving signature name: "{prediction.signature}" not found in signature def')
                outputs = self._predictor.run(
                    servable, prediction.signature, prediction.arrays(signature.inputs), sorted(signature.outputs)
                )
            return rest_responses.predictions(outputs, by_row=prediction.by_row)

        future = self._executor.submit(run)
        future.add_done_callback(lambda _: parsed.set())  # a body that cannot be parsed, or a server that stops
        parsed.wait()
        try:
            return future.result(self._limits.prediction_s or None)
        except TimeoutError:
            raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Timeout: the prediction took too long") from None

    def _parse(self, body: bytes, gzipped: bool) -> rest_requests.JsonRequest:
        # Parsed JSON takes thirty times its size in memory, so one body is parsed at a time and the memory given back.
        with self._parsing:
            document = self._inflated(body) if gzipped else body
            try:
                return rest_requests.parse(document)
            finally:
                if len(document) > _LARGE_BODY:
                    trim_heap()

    def _inflated(self, body: bytes) -> bytes:
        inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        try:
            inflated = inflater.decompress(body, self._limits.body_bytes + 1)
        except zlib.error:
            raise invalid("The body is not in gzip format") from None
        if len(inflated) > self._limits.body_bytes:
            raise RequestEntityTooLarge
        if not inflater.eof:
            raise invalid("The gzip body is cut short")
        return inflated


def _version(text: str) -> int:
    number = int(text) if len(text) <= 19 else 2**63
    if number >= 2**63:
        raise invalid(f"Failed to convert version: {text} to numeric.")
    return number


def _serving_error(error: ServingError) -> Response:
    return Response(rest_responses.error(error.message), HTTP_STATUS[error.code], mimetype="application/json")


def _http_error(error: HTTPException) -> Response:
    return Response(rest_responses.error(error.name), error.code, mimetype="application/json")
