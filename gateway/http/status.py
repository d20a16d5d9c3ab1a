"""GET /, /livez, /readyz and /metrics: what the gateway is, whether it lives, whether it is ready, and its metrics."""

import logging
from typing import Any

from flask import Blueprint, Response

from brain_tumor.contract import RESEARCH_NOTICE
from gateway import VERSION
from gateway.http.problem import RETRY_AFTER
from gateway.metrics import Metrics
from gateway.model.client import ModelClient
from gateway.model.responses import ModelServerProblem, ServedModel

_log = logging.getLogger(__name__)


def status_routes(model_client: ModelClient, metrics: Metrics) -> Blueprint:
    """Make the routes for probes, Prometheus and curious people."""
    routes = Blueprint("status", __name__)
    last_logged_state = ""

    @routes.get("/")
    def index() -> dict[str, Any]:
        model = model_client.cached
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
        # Not ready until the model server has responded once, so that no traffic comes before a prediction can be
        # made. From then on ready, and the body holds the model's state: if every gateway left the Service whenever
        # the model is gone, clients would get refused connections instead of a 503 that says when to try again.
        try:
            model = model_client.check()
        except ModelServerProblem as error:
            state = {"state": "error", "code": error.code}
            log_change(logging.WARNING, f"the model does not respond: {error}")
            if model_client.cached is None:
                return {"status": "not ready", "model": state}, 503, {"Retry-After": str(RETRY_AFTER)}
            return {"status": "ready", "model": state}, 200, {}
        log_change(logging.INFO, f"the model responds: {model.name} version {model.version}")
        return {"status": "ready", "model": {"state": "available", **_identity(model)}}, 200, {}

    def log_change(level: int, state: str) -> None:
        # An operator who asks why a pod is not ready reads its log; a probe that finds nothing new logs nothing.
        nonlocal last_logged_state
        if state != last_logged_state:
            last_logged_state = state
            _log.log(level, state)

    @routes.get("/metrics")
    def prometheus() -> Response:
        return Response(metrics.render(), content_type=metrics.content_type)

    return routes


def _identity(model: ServedModel) -> dict[str, Any]:
    return {"name": model.name, "version": model.version}
