"""What gRPC and REST calls have in common: their errors are mapped, their time and outcome recorded, and traced."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from werkzeug.exceptions import HTTPException

from portable_model_server.api.metrics import UNKNOWN_MODEL, Metrics
from portable_model_server.errors import HTTP_STATUS, ServingError
from portable_model_server.serving.manager import ModelManager
from serving_api.services import PREDICTION_SERVICE
from tracing.spans import NO_TRACING, Span, Tracing

_LOGGER = logging.getLogger(__name__)
GRPC, REST = "GRPC", "REST"
_ROUTE = "/v1/models/{model}"  # without the names that callers choose
# A status that is not the caller's doing, as OpenTelemetry's conventions have it for servers.
_FAILURES = (
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
)


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Run a block and turn any unexpected error in it into one that is safe to send.

    Raises:
        ServingError: The block raised it, or it raised something unexpected (INTERNAL).
        HTTPException: The block raised it, for an HTTP status that no canonical code stands for.
    """
    try:
        yield
    except (ServingError, HTTPException):
        raise
    except Exception as error:
        _LOGGER.exception("a call broke")
        raise ServingError(grpc.StatusCode.INTERNAL, "internal error; see the server's log") from error


@dataclass(frozen=True)
class CallRecorder:
    """Records calls that run a model.

    Attributes:
        manager: The models, whose names may label a metric.
        metrics: Where the calls are recorded.
        tracing: Makes their spans.
    """

    manager: ModelManager
    metrics: Metrics
    tracing: Tracing = NO_TRACING

    @contextmanager
    def record(self, model: str, api: str, entrypoint: str, header: Callable[[str], str | None]) -> Iterator[None]:
        """Run a block, record its time and its outcome, map its errors, and make its span.

        Args:
            model: Name of the model, as the caller gave it.
            api: ``Predict`` over gRPC; the method in lower case over REST.
            entrypoint: ``GRPC`` or ``REST``.
            header: Gives the call's metadata, or the request's header, of a name in lower case.

        Raises:
            ServingError: See ``mapped_errors``.
            HTTPException: See ``mapped_errors``; such a call is not recorded.
        """
        started = time.perf_counter()

        def observe(code: grpc.StatusCode) -> None:
            # Callers choose the names they ask for, so those of models that do not exist share one label.
            name = model if self.manager.knows(model) else UNKNOWN_MODEL
            self.metrics.observe_request(name, code.name, api, entrypoint, time.perf_counter() - started)

        failure = None
        name = f"{PREDICTION_SERVICE.full_name}/{api}" if entrypoint == GRPC else f"POST {_ROUTE}:{api}"
        with self.tracing.serve(name, header) as span:
            try:
                with mapped_errors():
                    yield
            except ServingError as error:
                failure = error
            code = failure.code if failure else grpc.StatusCode.OK
            observe(code)
            _describe(span, api, entrypoint, code)
        if failure:
            raise failure


def _describe(span: Span, api: str, entrypoint: str, code: grpc.StatusCode) -> None:
    """Say in a span what was called, and how it ended."""
    if entrypoint == GRPC:
        span.set("rpc.system.name", "grpc")
        span.set("rpc.method", f"{PREDICTION_SERVICE.full_name}/{api}")
        span.set("rpc.response.status_code", code.name)
    else:
        span.set("http.request.method", "POST")
        span.set("http.route", f"{_ROUTE}:{api}")
        span.set("http.response.status_code", 200 if code is grpc.StatusCode.OK else HTTP_STATUS[code])
    if code in _FAILURES:
        span.fail(code.name)
