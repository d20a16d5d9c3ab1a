"""The span of each request that has a line in the access log: method, route and status, and nothing that identifies.

A URL, a file's name and a client's address are the client's, so none of them is an attribute, though OpenTelemetry's
conventions have some for them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus

from flask import Flask, Response, g, request

from gateway.edge.messages import RECEIVED, SLOT, UNMATCHED, UNREAD
from gateway.http.operations import operation_of
from tracing.spans import Span, Tracing, current

# Of a method that is not among these the text is the client's, so it has the name that the conventions give it.
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_OTHER = "_OTHER"


def register(app: Flask, tracing: Tracing) -> None:
    """Give every request of the application a span; before ``access_log.register``, so that its line is within."""

    @app.before_request
    def begin() -> None:
        operation = operation_of(app.view_functions[request.endpoint]) if request.endpoint else None
        if operation and operation.is_quiet:
            return
        g.span = ExitStack()
        route = request.url_rule.rule if request.url_rule else UNMATCHED
        received = request.environ.get(RECEIVED)
        started = None if received is None else time.time_ns() - int((time.perf_counter() - received) * 1e9)
        span = g.span.enter_context(serve(tracing, request.method, route, request.headers.get, started))
        if SLOT in request.environ:
            span.event("slot")

    @app.after_request
    def end(response: Response) -> Response:
        if "span" in g:
            tell_status(current(), response.status_code)
        return response

    @app.teardown_request
    def close(error: BaseException | None) -> None:
        if "span" in g:
            g.pop("span").close()


@contextmanager
def serve(
    tracing: Tracing, method: str, route: str, header: Callable[[str], str | None], started: int | None = None
) -> Iterator[Span]:
    """The span of a request, which is the current one in the block.

    Args:
        tracing: Makes it.
        method: The request's method.
        route: The rule of its route; ``UNREAD`` or ``UNMATCHED`` where it has none.
        header: Gives the request's headers by name.
        started: When the request was there, as ``time.time_ns`` tells it; None is now.
    """
    known = method if method in _METHODS else _OTHER
    has_route = route not in (UNREAD, UNMATCHED)
    words = ("HTTP" if known == _OTHER else known, route if has_route else "")
    with tracing.serve(" ".join(filter(None, words)), header, started) as span:
        span.set("http.request.method", known)
        if has_route:
            span.set("http.route", route)
        yield span


def tell_status(span: Span, status: int) -> None:
    """Say how a request ended; what its client did wrong is no failure of the span."""
    span.set("http.response.status_code", status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.fail(str(status))
