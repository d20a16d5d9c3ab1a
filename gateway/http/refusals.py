"""Responses to requests that never reach the application: not HTTP, too large, too slow, or too many."""

import logging
from http import HTTPStatus

import h11
import msgspec

from gateway.edge.messages import Problem, Response
from gateway.http import access_log
from gateway.http.problem import MEDIA_TYPE, RETRY_AFTER, UNEXPECTED, problem_document
from gateway.logs.lines import REQUEST_ID
from gateway.metrics import Metrics

_log = logging.getLogger(__name__)


class Refusals:
    """Makes such responses; logs and counts them.

    Args:
        metrics: Counts them.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def __call__(self, problem: Problem, head: h11.Request | None) -> Response:
        """Make the response, as ``gateway.edge.messages.Refuse``."""
        headers = dict(head.headers) if head else {}
        request_id = access_log.request_id(headers.get(access_log.HEADER.lower().encode(), b"").decode("latin-1"))
        body = msgspec.json.encode(problem_document(problem.status, problem.detail or UNEXPECTED, request_id))
        self._metrics.requests.labels(problem.route, int(problem.status)).inc()
        token = REQUEST_ID.set(request_id)
        _log.info("%s %d", problem.route, problem.status)
        REQUEST_ID.reset(token)
        response = {
            "Content-Type": MEDIA_TYPE,
            "Content-Length": str(len(body)),
            access_log.HEADER: request_id,
            **access_log.COMMON_HEADERS,
        }
        if problem.status is HTTPStatus.SERVICE_UNAVAILABLE:
            response["Retry-After"] = str(problem.retry_after or RETRY_AFTER)
        return Response(int(problem.status), list(response.items()), body)
