"""TensorFlow Serving's REST API and the metrics page, as a Flask application."""

import re
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from dataclasses import dataclass

import grpc
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge

from portable_model_server.api import responses, rest_paths, rest_requests, rest_responses
from portable_model_server.api.calls import REST, CallRecorder, mapped_errors
from portable_model_server.api.rest_paths import RestCall
from portable_model_server.engines.memory import trim_heap
from portable_model_server.errors import HTTP_STATUS, ServingError, failed_precondition, invalid, shown_name
from portable_model_server.serving.manager import ModelManager
from portable_model_server.serving.prediction import Predictor
from serving_api.messages import GetModelMetadataRequest, GetModelStatusRequest, ModelSpec

_LARGE_BODY = 1 << 20  # bytes
# Source: AddCORSHeaders in tensorflow_serving/model_servers/http_rest_api_util.cc.
_CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}


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
    cors: bool,
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
        cors: Whether web pages of any origin may read the responses.
    """
    app = Flask("portable_model_server", static_folder=None)
    app.url_map.merge_slashes = False
    api = _Api(manager, predictor, limits, executor)

    def page() -> Response:
        return Response(metrics_page(), mimetype="text/plain")

    def call(path: str) -> Response:
        target = rest_paths.target(request.environ["REQUEST_URI"])
        if not rest_paths.is_call(target):
            raise NotFound
        if request.method == "OPTIONS":
            return _preflight()
        wanted = rest_paths.parse(request.method, target)
        headers = request.headers
        with recorder.record(wanted.spec.name, wanted.method, REST, headers.get) if wanted.method else mapped_errors():
            return Response(api.respond(wanted), mimetype="application/json")

    def allow_any_origin(response: Response) -> Response:
        if rest_paths.is_call(request.path):
            response.headers.update(_CORS_HEADERS)
        return response

    if metrics_path:
        app.add_url_rule(metrics_path, view_func=page, methods=["GET"])
    app.add_url_rule(
        "/<path:path>",
        view_func=call,
        methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"],
        provide_automatic_options=False,
    )
    if cors:
        app.after_request(allow_any_origin)
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

    def respond(self, call: RestCall) -> str:
        """Run a call and return its JSON.

        Raises:
            ServingError: The call failed.
            RequestEntityTooLarge: The decompressed body is larger than allowed.
        """
        if call.method == "predict":
            return self._predict(call.spec)
        if call.method:
            raise ServingError(
                grpc.StatusCode.UNIMPLEMENTED, f"this server does not implement {call.method}: use predict"
            )
        if call.metadata:
            metadata = GetModelMetadataRequest(model_spec=call.spec, metadata_field=[responses.SIGNATURE_DEF])
            return rest_responses.metadata(responses.metadata(self._manager, metadata))
        return rest_responses.status(responses.status(self._manager, GetModelStatusRequest(model_spec=call.spec)))

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
                    raise invalid(
                        f'Serving signature name: "{shown_name(prediction.signature)}" not found in signature def'
                    )
                outputs = self._predictor.run(
                    servable, prediction.signature, prediction.arrays(signature.inputs), sorted(signature.outputs)
                )
            return rest_responses.predictions(outputs, by_row=prediction.by_row)

        future = self._executor.submit(copy_context().run, run)  # the span stays the current one
        future.add_done_callback(lambda _: parsed.set())  # a body that cannot be parsed, or a server that stops
        parsed.wait()
        try:
            return future.result(self._limits.prediction_s or None)
        except TimeoutError:
            raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Timed out waiting for notification") from None

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


def _preflight() -> Response:
    """Respond to a browser that asks what it may send; whether it may read the response is the headers' matter."""
    if not re.search("https?://", request.headers.get("Origin", "")):
        raise failed_precondition("Origin header is missing in CORS preflight")
    return Response()


def _serving_error(error: ServingError) -> Response:
    return Response(rest_responses.error(error.message), HTTP_STATUS[error.code], mimetype="application/json")


def _http_error(error: HTTPException) -> Response:
    return Response(rest_responses.error(error.name), error.code, mimetype="application/json")
