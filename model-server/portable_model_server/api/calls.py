"""What gRPC and REST calls have in common: their errors are mapped, and their time and outcome are recorded."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from werkzeug.exceptions import HTTPException

from portable_model_server.api.metrics import UNKNOWN_MODEL, Metrics
from portable_model_server.errors import ServingError
from portable_model_server.serving.manager import ModelManager

_LOGGER = logging.getLogger(__name__)


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
    """

    manager: ModelManager
    metrics: Metrics

    @contextmanager
    def record(self, model: str, api: str, entrypoint: str) -> Iterator[None]:
        """Run a block, record its time and its outcome, and map its errors.

        Args:
            model: Name of the model, as the caller gave it.
            api: ``Predict`` over gRPC; the method in lower case over REST.
            entrypoint: ``GRPC`` or ``REST``.

        Raises:
            ServingError: See ``mapped_errors``.
            HTTPException: See ``mapped_errors``; such a call is not recorded.
        """
        started = time.perf_counter()

        def observe(code: grpc.StatusCode) -> None:
            # Callers choose the names they ask for, so those of models that do not exist share one label.
            name = model if self.manager.knows(model) else UNKNOWN_MODEL
            self.metrics.observe_request(name, code.name, api, entrypoint, time.perf_counter() - started)

        try:
            with mapped_errors():
                yield
        except ServingError as error:
            observe(error.code)
            raise
        observe(grpc.StatusCode.OK)
