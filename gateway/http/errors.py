"""Exceptions to problem responses (RFC 9457), by one table of statuses and messages."""

import logging
from collections.abc import Iterable
from http import HTTPStatus

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from brain_tumor.image import ImageError, ImageTooLarge, UnknownImageType, UnusableImage
from gateway.classify.choice import NotServed
from gateway.classify.classifier import CannotExplain
from gateway.classify.pixels import OtherSize
from gateway.deadline import ClientLeft, DeadlineExceeded
from gateway.edge.admission import Overloaded
from gateway.edge.messages import BUSY, NOT_FOUND
from gateway.http.documents import ProblemDetails
from gateway.http.error_forms import error_body
from gateway.http.operations import PROBLEM, Content, Reply
from gateway.http.problem import LATER, RETRY_AFTER, TELL_THE_OPERATOR, UNEXPECTED, problem_document, status_name
from gateway.http.served import NotReady
from gateway.images.from_url import SourceTooLarge
from gateway.images.sent import BodyTooLarge, InvalidRequest, TooManyImages, UnsupportedMediaType
from gateway.images.url import FetchError
from gateway.logs.lines import REQUEST_ID
from gateway.metrics import Metrics
from gateway.model.responses import ModelError, ModelOverloaded, ModelServerProblem, ModelTooSlow, ModelUnavailable

_CLIENT_LEFT = 499  # as nginx calls it; seen in logs and metrics alone
_log = logging.getLogger(__name__)

# The first row that an exception is an instance of counts. Where a text is given the client sees that instead of
# the exception's own message.
TABLE: tuple[tuple[type[Exception], HTTPStatus, str | None], ...] = (
    (UnknownImageType, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, None),
    (ImageTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, None),
    (UnusableImage, HTTPStatus.UNPROCESSABLE_ENTITY, None),
    (ImageError, HTTPStatus.BAD_REQUEST, None),
    (InvalidRequest, HTTPStatus.BAD_REQUEST, None),
    (BodyTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, None),
    (TooManyImages, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, None),
    (UnsupportedMediaType, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, None),
    (SourceTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, None),
    (FetchError, HTTPStatus.UNPROCESSABLE_ENTITY, None),
    (CannotExplain, HTTPStatus.UNPROCESSABLE_ENTITY, None),
    (OtherSize, HTTPStatus.BAD_REQUEST, None),
    (NotServed, HTTPStatus.NOT_FOUND, None),
    (NotReady, HTTPStatus.SERVICE_UNAVAILABLE, None),
    (Overloaded, BUSY.status, BUSY.detail),
    (ModelUnavailable, HTTPStatus.SERVICE_UNAVAILABLE, "The model is not available now. Try again shortly."),
    (ModelOverloaded, HTTPStatus.SERVICE_UNAVAILABLE, "The model server is busy. Try again shortly."),
    (ModelTooSlow, HTTPStatus.GATEWAY_TIMEOUT, "The model did not respond in time. Try again."),
    (DeadlineExceeded, HTTPStatus.GATEWAY_TIMEOUT, "The response was not ready in time. Try again."),
    (ModelError, HTTPStatus.BAD_GATEWAY, f"The model server's response cannot be used. {TELL_THE_OPERATOR}"),
)
# What a status means, for people.
MEANINGS: dict[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "A form without an image, invalid JSON, base64 or option, or a damaged image.",
    HTTPStatus.UNAUTHORIZED: "No valid key, where the service asks for one.",
    HTTPStatus.FORBIDDEN: "The key is not good for this.",
    HTTPStatus.REQUEST_TIMEOUT: "The client did not send the whole request in time.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Too many bytes, pixels or images.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The content is not an image, or of a kind that is not read.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A URL that gives no image, an image that cannot be used, or no activation map.",
    HTTPStatus.TOO_MANY_REQUESTS: "More requests a second than the key is good for: try again later.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A fault of the service: give its operator the request id.",
    HTTPStatus.BAD_GATEWAY: "The model server's response cannot be used: give the operator the request id.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Busy, or the model server is away: try again later.",
    HTTPStatus.GATEWAY_TIMEOUT: "The prediction was not ready in time.",
}
KEY_STATUSES = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)  # where keys are asked for
_HTTP_DETAILS = {  # of errors that Flask finds; its own texts are written for programmers
    HTTPStatus.BAD_REQUEST: "The request is malformed or incomplete. Let an HTTP library build it, and send all of it.",
    HTTPStatus.NOT_FOUND: str(NOT_FOUND.detail),
    HTTPStatus.METHOD_NOT_ALLOWED: "This path does not take this method; the header Allow lists those that it takes.",
}


def error_replies(statuses: Iterable[HTTPStatus] = MEANINGS, error: Content = PROBLEM) -> dict[int, Reply]:
    """What a route declares of these errors.

    Args:
        statuses: Some of ``MEANINGS``.
        error: The body of all of them.
    """
    return {status: Reply(MEANINGS[status], (error,)) for status in statuses}


def problem(error: Exception, request_id: str) -> ProblemDetails:
    """Describe an exception that is in the table, or any other as status 500, as problem details."""
    status, detail = _status_and_detail(error)
    return problem_document(status, detail, request_id)


def reason(error: Exception) -> str | type[Exception]:
    """Why there is no prediction, as ``Metrics.refused`` takes it: the exception's row in the table, or its status."""
    if isinstance(error, ClientLeft):
        return ClientLeft
    row = next((kind for kind, _, _ in TABLE if isinstance(error, kind)), None)
    return row or status_name(_status_and_detail(error)[0])


def register(app: Flask, metrics: Metrics) -> None:
    """Respond to every exception with its problem; count them, and log what operators must see."""

    def handle(error: Exception) -> Response:
        metrics.refused(reason(error))
        if isinstance(error, ClientLeft):
            return Response(status=_CLIENT_LEFT)
        document = problem(error, REQUEST_ID.get())
        if isinstance(error, ModelServerProblem):
            metrics.model_errors.labels(error.code).inc()
            _log.warning("model server: %s", error)
        elif document.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("unexpected", exc_info=error)
        body, media_type = error_body(request.path, document)
        response = Response(body, document.status, content_type=media_type)
        if document.status in LATER:
            response.headers["Retry-After"] = str(getattr(error, "retry_after", RETRY_AFTER))
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return response

    app.register_error_handler(Exception, handle)


def _status_and_detail(error: Exception) -> tuple[HTTPStatus, str]:
    for kind, status, detail in TABLE:
        if isinstance(error, kind):
            return status, detail or str(error)
    if isinstance(error, HTTPException) and error.code is not None:
        status = HTTPStatus(error.code)
        return status, _HTTP_DETAILS.get(status, status.phrase)
    return HTTPStatus.INTERNAL_SERVER_ERROR, UNEXPECTED
