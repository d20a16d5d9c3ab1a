"""What the gRPC methods do; the methods that are missing here answer UNIMPLEMENTED."""

import logging
import time
from collections.abc import Callable
from typing import Any, NoReturn

import grpc
from grpc_health.v1.health import HealthServicer

from portable_model_server import replies
from portable_model_server.errors import ServingError, grpc_details, invalid
from portable_model_server.manager import ModelManager
from portable_model_server.metrics import UNKNOWN_MODEL, Metrics
from portable_model_server.prediction import Predictor

_LOGGER = logging.getLogger(__name__)


class PredictionServicer:
    """tensorflow.serving.PredictionService: Predict and GetModelMetadata."""

    def __init__(self, manager: ModelManager, predictor: Predictor, metrics: Metrics) -> None:
        self._manager = manager
        self._predictor = predictor
        self._metrics = metrics

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Run a model."""
        started = time.perf_counter()
        status = grpc.StatusCode.INTERNAL

        def predict() -> Any:
            nonlocal status
            try:
                if not request.HasField("model_spec"):
                    raise invalid("Missing ModelSpec")
                with self._manager.hold(request.model_spec) as servable:
                    response = self._predictor.predict(servable, request)
            except ServingError as error:
                status = error.code
                raise
            status = grpc.StatusCode.OK
            return response

        try:
            return _answer(context, predict)
        finally:
            name = request.model_spec.name
            self._metrics.observe_request(
                name if self._manager.knows(name) else UNKNOWN_MODEL,
                status.name,
                "Predict",
                "GRPC",
                time.perf_counter() - started,
            )

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Describe a model's signatures."""
        return _answer(context, lambda: replies.metadata(self._manager, request))


class ModelServicer:
    """tensorflow.serving.ModelService: GetModelStatus."""

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Tell the states of a model's versions."""
        return _answer(context, lambda: replies.status(self._manager, request))


class EndingHealthServicer(HealthServicer):
    """grpc.health.v1 that can end the watches: an open one would hold up a server that drains."""

    def __init__(self) -> None:
        super().__init__()
        self._watchers: set[Callable[[Any], None]] = set()

    def Watch(  # noqa: N802
        self, request: Any, context: grpc.ServicerContext, send_response_callback: Any = None
    ) -> Any:
        """Stream a service's health; gRPC calls this."""
        self._watchers.add(send_response_callback)
        context.add_callback(lambda: self._watchers.discard(send_response_callback))
        return super().Watch(request, context, send_response_callback)

    def end(self) -> None:
        """Be NOT_SERVING from now on, tell the watchers, and end their streams."""
        self.enter_graceful_shutdown()
        for send_response in list(self._watchers):
            send_response(None)


def _answer(context: grpc.ServicerContext, method: Callable[[], Any]) -> Any:
    try:
        return method()
    except ServingError as error:
        code, message = error.code, error.message
    except Exception:
        _LOGGER.exception("a call broke")
        code, message = grpc.StatusCode.INTERNAL, "internal error; see the server's log"
    _abort(context, code, message)


def _abort(context: grpc.ServicerContext, code: grpc.StatusCode, message: str) -> NoReturn:
    context.abort(code, grpc_details(message))
    raise AssertionError("unreachable: abort raises")
