"""Each request's id, its line in the access log and in the metrics, and the headers that every response carries."""

import logging
import re
import secrets
import time

from flask import Flask, Response, g, request

from gateway.edge.messages import CALLER, RECEIVED, UNMATCHED
from gateway.http.operations import operation_of
from gateway.logs.lines import REQUEST_ID
from gateway.metrics import Metrics

HEADER = "X-Request-ID"
COMMON_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = logging.getLogger(__name__)


def request_id(client_id: str) -> str:
    """The id that a client gave its request, if it is a sane one, or a new one."""
    return client_id if _SANE_ID.fullmatch(client_id) else secrets.token_hex(8)


def suffix(caller: str) -> str:
    """What a line says of who sent the request, where callers have names."""
    return f" for {caller}" if caller else ""


def register(app: Flask, metrics: Metrics) -> None:
    """Give every request of the application an id, and log and count its response."""

    @app.before_request
    def begin() -> None:
        REQUEST_ID.set(request_id(request.headers.get(HEADER, "")))
        # From the edge: the wait for a slot counts too.
        g.started = request.environ.get(RECEIVED) or time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        # The rule, not the path: a path is the client's text.
        route = request.url_rule.rule if request.url_rule else UNMATCHED
        seconds = time.perf_counter() - g.started
        caller = request.environ.get(CALLER, "")
        metrics.count(route, response.status_code, caller)
        metrics.request_seconds.labels(route).observe(seconds)
        operation = operation_of(app.view_functions[request.endpoint]) if request.endpoint else None
        level = logging.DEBUG if operation and operation.is_quiet else logging.INFO
        _log.log(level, "%s %d in %.1f ms%s", route, response.status_code, seconds * 1000, suffix(caller))
        response.headers[HEADER] = REQUEST_ID.get()
        for name, value in COMMON_HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.teardown_request
    def forget(error: BaseException | None) -> None:
        REQUEST_ID.set("")
