"""Responses to requests that never reach the application: not HTTP, too large, too slow, or too many."""

import logging
from collections.abc import Collection

from gateway.edge.head import Head
from gateway.edge.messages import Problem, Response
from gateway.http import access_log, spans
from gateway.http.cors import cors_headers
from gateway.http.error_forms import error_body
from gateway.http.problem import LATER, RETRY_AFTER, UNEXPECTED, problem_document, status_name
from gateway.logs.lines import REQUEST_ID
from gateway.metrics import Metrics
from tracing.spans import NO_TRACING, Tracing

_log = logging.getLogger(__name__)


class Refusals:
    """Makes such responses; logs and counts them.

    Args:
        metrics: Counts them.
        origins: Of other sites whose pages may read them.
        tracing: Makes a span of each whose headers could be read.
    """

    def __init__(self, metrics: Metrics, origins: Collection[str] = (), tracing: Tracing = NO_TRACING) -> None:
        self._metrics = metrics
        self._origins = origins
        self._tracing = tracing

    def __call__(self, problem: Problem, head: Head | None) -> Response:
        """Make the response, as ``gateway.edge.messages.Refuse``."""
        if not (head and self._tracing.is_on):
            return self._respond(problem, head)

        def header(name: str) -> str | None:
            value = dict(head.sent.headers).get(name.encode())
            return None if value is None else value.decode("latin-1")

        with spans.serve(self._tracing, head.method, problem.route, header) as span:
            response = self._respond(problem, head)
            spans.tell_status(span, response.status)
            return response

    def _respond(self, problem: Problem, head: Head | None) -> Response:
        headers = dict(head.sent.headers) if head else {}
        request_id = access_log.request_id(headers.get(access_log.HEADER.lower().encode(), b"").decode("latin-1"))
        document = problem_document(problem.status, problem.detail or UNEXPECTED, request_id)
        body, media_type = error_body(head.path if head else "", document)
        self._metrics.count(problem.route, int(problem.status), problem.caller)
        self._metrics.refused(problem.reason or status_name(problem.status))
        token = REQUEST_ID.set(request_id)
        _log.info("%s %d%s", problem.route, problem.status, access_log.suffix(problem.caller))
        REQUEST_ID.reset(token)
        response = {
            "Content-Type": media_type,
            "Content-Length": str(len(body)),
            access_log.HEADER: request_id,
            **access_log.COMMON_HEADERS,
            **cors_headers(self._origins, headers.get(b"origin", b"").decode("latin-1")),
            **dict(problem.headers),
        }
        if problem.status in LATER:
            response["Retry-After"] = str(problem.retry_after or RETRY_AFTER)
        return Response(int(problem.status), list(response.items()), body)
