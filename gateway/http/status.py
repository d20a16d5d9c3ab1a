"""GET /, /livez, /readyz and /metrics: what the gateway is, whether it lives, whether it is ready, and its metrics."""

import logging

from flask import Blueprint, Response, current_app, request
from werkzeug.wrappers import Response as BaseResponse

from brain_tumor.contract import RESEARCH_NOTICE
from gateway import NAME, VERSION
from gateway.edge.lanes import Lane
from gateway.http.documents import Liveness, ModelIdentity, ModelState, Readiness, Service, respond
from gateway.http.errors import KEY_STATUSES, error_replies
from gateway.http.operations import Content, Operation, Reply, declared, json_reply
from gateway.http.pages import Pages, page_replies
from gateway.http.problem import RETRY_AFTER
from gateway.http.routes import described_operations
from gateway.keys import METRICS
from gateway.metrics import Metrics
from gateway.model.client import ModelClient
from gateway.model.responses import ModelServerProblem

_TAG = "Service"
_log = logging.getLogger(__name__)


def status_routes(model_client: ModelClient, metrics: Metrics, pages: Pages, has_admin_port: bool) -> Blueprint:
    """Make the routes for probes, Prometheus and curious people.

    Args:
        model_client: Knows the model.
        metrics: What Prometheus gets.
        pages: Has the index.
        has_admin_port: Whether probes and metrics have a port of their own.
    """
    routes = Blueprint("status", __name__)
    last_logged_state = ""

    @routes.get("/")
    @declared(
        Operation(
            "What this is",
            _TAG,
            page_replies("Name, version, model and links; for browsers the page.", Content(Service)),
            lane=Lane.AT_ONCE,
        )
    )
    def index() -> BaseResponse:
        return pages.negotiated("index.html", service)

    def service() -> Service:
        model = model_client.cached
        return Service(
            name=NAME,
            version=VERSION,
            model=ModelIdentity(name=model.name, version=model.version, precision=model.metadata.precision)
            if model
            else None,
            notice=model.metadata.notice if model else RESEARCH_NOTICE,
            links={
                rule.strip("/").partition(".")[0]: f"{request.script_root}{rule}"
                for rule, _, _ in described_operations(current_app)
                if rule != "/" and "/" not in rule[1:]  # what is below them, their own documents tell
            },
        )

    @routes.get("/livez")
    @declared(
        Operation(
            "Liveness",
            _TAG,
            {200: json_reply("The process runs.", Liveness)},
            lane=Lane.AT_ONCE,
            admin_only=has_admin_port,
            is_quiet=True,
        )
    )
    def livez() -> Response:
        return respond(Liveness(status="alive"))

    @routes.get("/readyz")
    @declared(
        Operation(
            "Readiness",
            _TAG,
            {
                200: json_reply("Requests are taken; the model server has responded once.", Readiness),
                503: json_reply("The model server has not responded yet.", Readiness),
            },
            lane=Lane.READINESS,
            admin_only=has_admin_port,
            is_quiet=True,
        )
    )
    def readyz() -> Response:
        # Not ready until the model server has responded once, so that no traffic comes before a prediction can be
        # made. From then on ready, and the body holds the model's state: if every gateway left the Service whenever
        # the model is gone, clients would get refused connections instead of a 503 that says when to try again.
        try:
            model = model_client.check()
        except ModelServerProblem as error:
            state = ModelState(state="error", code=error.code)
            log_change(logging.WARNING, f"the model does not respond: {error}")
            if model_client.cached is None:
                return respond(Readiness(status="not ready", model=state), 503, Retry_After=str(RETRY_AFTER))
            return respond(Readiness(status="ready", model=state))
        log_change(logging.INFO, f"the model responds: {model.name} version {model.version}")
        state = ModelState(state="available", name=model.name, version=model.version)
        return respond(Readiness(status="ready", model=state))

    def log_change(level: int, state: str) -> None:
        # An operator who asks why a pod is not ready reads its log; a probe that finds nothing new logs nothing.
        nonlocal last_logged_state
        if state != last_logged_state:
            last_logged_state = state
            _log.log(level, state)

    @routes.get("/metrics")
    @declared(
        Operation(
            "Metrics",
            _TAG,
            {
                200: Reply("Metrics for Prometheus.", (Content({"type": "string"}, metrics.content_type),)),
                **error_replies(KEY_STATUSES),
            },
            lane=Lane.METRICS,
            scope=METRICS,
            admin_only=has_admin_port,
            is_quiet=True,
        )
    )
    def prometheus() -> Response:
        return Response(metrics.render(), content_type=metrics.content_type)

    return routes
