"""TensorFlow Serving's REST API and the metrics page, as a Flask application."""

import logging
import re
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import grpc
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from portable_model_server import replies, rest_answers, rest_json
from portable_model_server.engine import trim_heap
from portable_model_server.errors import HTTP_STATUS, ServingError, invalid
from portable_model_server.manager import ModelManager
from portable_model_server.metrics import UNKNOWN_MODEL, Metrics
from portable_model_server.prediction import Predictor
from serving_api.messages import GetModelMetadataRequest, GetModelStatusRequest, ModelSpec

_LOGGER = logging.getLogger(__name__)
_LARGE_BODY = 1 << 20  # bytes
# Source of both: tensorflow_serving/model_servers/http_rest_api_util.cc.
_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)", re.I | re.A)
_GET = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?P<metadata>/metadata)?", re.I | re.A)


@dataclass(frozen=True)
class RestLimits:
    """What one request may cost.

    Attributes:
        body_bytes: largest body, after decompression.
        prediction_s: how long a caller waits for a prediction; 0 is for ever.
    """

    body_bytes: int
    prediction_s: float


def create_app(
    manager: ModelManager,
    predictor: Predictor,
    metrics: Metrics,
    *,
    metrics_path: str | None,
    limits: RestLimits,
    executor: Executor,
) -> Flask:
    """The application.

    Args:
        manager: knows the models.
        predictor: runs them.
        metrics: counts the predictions.
        metrics_path: where the metrics page is; None for nowhere.
        limits: bounds of one request.
        executor: runs the predictions, so that a caller need not wait for one that takes too long.
    """
    app = Flask("portable_model_server", static_folder=None)
    app.url_map.merge_slashes = False
    api = _Api(manager, predictor, limits, executor)

    def page() -> Response:
        return Response(metrics.page(), mimetype="text/plain")

    def call(path: str) -> Response:
        started = time.perf_counter()
        match = api.match()
        try:
            answer = api.answer(match)
            code = grpc.StatusCode.OK
        except ServingError as error:
            code, answer = error.code, rest_answers.error(error.message)
        except HTTPException:
            raise
        except Exception:
            _LOGGER.exception("a REST call broke")
            code, answer = grpc.StatusCode.INTERNAL, rest_answers.error("internal error; see the server's log")
        if match and "method" in match:
            name = match["name"] if manager.knows(match["name"]) else UNKNOWN_MODEL
            metrics.observe_request(name, code.name, match["method"].lower(), "REST", time.perf_counter() - started)
        return Response(answer, HTTP_STATUS[code], mimetype="application/json")

    if metrics_path:
        app.add_url_rule(metrics_path, view_func=page, methods=["GET"])
    app.add_url_rule(
        "/v1/<path:path>",
        view_func=call,
        methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"],
        provide_automatic_options=False,
    )
    app.register_error_handler(HTTPException, _http_error)
    return app


class _Api:
    """What the calls under /v1/ do; within a request."""

    def __init__(self, manager: ModelManager, predictor: Predictor, limits: RestLimits, executor: Executor) -> None:
        self._manager = manager
        self._predictor = predictor
        self._limits = limits
        self._executor = executor
        self._parsing = threading.Lock()

    def match(self) -> dict[str, str] | None:
        """The parts of the path; None if it is no call."""
        pattern = {"POST": _POST, "GET": _GET}.get(request.method)
        match = pattern.fullmatch(request.path) if pattern else None
        return {key: value for key, value in match.groupdict().items() if value} if match else None

    def answer(self, match: dict[str, str] | None) -> str:
        """The JSON to the call.

        Raises:
            ServingError: there is none.
            RequestEntityTooLarge: the body is larger than allowed once decompressed.
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
            return self._predict(spec, self._parsed())
        if "method" in match:
            raise ServingError(
                grpc.StatusCode.UNIMPLEMENTED, f"this server does not implement {match['method']}: use predict"
            )
        if "metadata" in match:
            wanted = GetModelMetadataRequest(model_spec=spec, metadata_field=[replies.SIGNATURE_DEF])
            return rest_answers.metadata(replies.metadata(self._manager, wanted))
        return rest_answers.status(replies.status(self._manager, GetModelStatusRequest(model_spec=spec)))

    def _predict(self, spec: Any, wanted: rest_json.JsonRequest) -> str:
        def run() -> str:
            with self._manager.hold(spec) as servable:
                signature = servable.model.signatures.get(wanted.signature)
                if signature is None:
                    raise invalid(f'Serving signature name: "{wanted.signature}" not found in signature def')
                outputs = self._predictor.run(
                    servable, wanted.signature, wanted.arrays(signature.inputs), sorted(signature.outputs)
                )
            return rest_answers.predictions(outputs, by_row=wanted.by_row)

        return self._in_time(run)

    def _in_time(self, run: Callable[[], str]) -> str:
        if not self._limits.prediction_s:
            return run()
        future = self._executor.submit(run)
        try:
            return future.result(self._limits.prediction_s)
        except TimeoutError:
            future.cancel()
            raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Timeout: the prediction took too long") from None

    def _parsed(self) -> rest_json.JsonRequest:
        # JSON takes thirty times its own size in memory: one at a time, and given back.
        with self._parsing:
            body = self._body()
            try:
                return rest_json.parse(body)
            finally:
                if len(body) > _LARGE_BODY:
                    trim_heap()

    def _body(self) -> bytes:
        body = request.get_data(cache=False)
        if request.headers.get("Content-Encoding", "").lower() != "gzip":
            return body
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


def _http_error(error: HTTPException) -> Response:
    return Response(rest_answers.error(error.name), error.code, mimetype="application/json")
