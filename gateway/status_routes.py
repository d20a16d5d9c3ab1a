"""What the gateway says of itself: what it is, whether it lives, whether it is ready, and its metrics."""

import logging
from typing import Any

from flask import Blueprint, Response

from brain_tumor.contract import RESEARCH_NOTICE
from gateway import VERSION
from gateway.deadline import Deadline, DeadlineExceeded
from gateway.errors import RETRY_AFTER
from gateway.metrics import Metrics
from gateway.model_answers import ModelServerProblem, ServedModel
from gateway.model_client import ModelClient

_PROBE_SECONDS = 1.0  # Kubernetes' default timeout of a probe
_log = logging.getLogger(__name__)


def status_routes(model_client: ModelClient, metrics: Metrics) -> Blueprint:
    """The routes that probes, Prometheus and curious people ask."""
    routes = Blueprint("status", __name__)
    told = ""  # what the log last said of the model

    @routes.get("/")
    def index() -> dict[str, Any]:
        model = model_client.known
        return {
            "name": "brain-tumor-gateway",
            "version": VERSION,
            "model": _identity(model) if model else None,
            "notice": model.metadata.notice if model else RESEARCH_NOTICE,
            "links": {path.strip("/"): path for path in ("/predict", "/livez", "/readyz", "/metrics")},
        }

    @routes.get("/livez")
    def livez() -> dict[str, str]:
        return {"status": "alive"}

    @routes.get("/readyz")
    def readyz() -> tuple[dict[str, Any], int, dict[str, str]]:
        # Not ready until the model server has answered once, so that no traffic comes before an answer can. From
        # then on ready, and the model's state is told in the body: if every gateway left the Service whenever the
        # model is gone, clients would get refused connections instead of a 503 that says when to try again.
        try:
            model = model_client.ask(Deadline(_PROBE_SECONDS))
        except (ModelServerProblem, DeadlineExceeded) as error:
            state = {"state": "error", "code": getattr(error, "code", "DEADLINE_EXCEEDED")}
            tell(logging.WARNING, f"the model does not answer: {error or state['code']}")
            if model_client.known is None:
                return {"status": "not ready", "model": state}, 503, {"Retry-After": str(RETRY_AFTER)}
            return {"status": "ready", "model": state}, 200, {}
        tell(logging.INFO, f"the model answers: {model.name} version {model.version}")
        return {"status": "ready", "model": {"state": "available", **_identity(model)}}, 200, {}

    def tell(level: int, state: str) -> None:
        # Whoever asks why a pod is not ready reads its log; a probe that finds nothing new says nothing.
        nonlocal told
        if state != told:
            told = state
            _log.log(level, state)

    @routes.get("/metrics")
    def prometheus() -> Response:
        return Response(metrics.render(), content_type=metrics.content_type)

    return routes


def _identity(model: ServedModel) -> dict[str, Any]:
    return {"name": model.name, "version": model.version}
