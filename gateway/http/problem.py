"""Problem details (RFC 9457), the one form of every error response."""

from http import HTTPStatus

from gateway.http.documents import ProblemDetails

MEDIA_TYPE = "application/problem+json"
LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)  # come with a header Retry-After
RETRY_AFTER = 2  # seconds, where nothing better is known: about what a replica takes to come back into use
TELL_THE_OPERATOR = "Tell the operator of this service the request id."
# RFC 9110's; Python has called them so since 3.13 alone.
_NAMES = {413: "content_too_large", 414: "uri_too_long", 416: "range_not_satisfiable", 422: "unprocessable_content"}
UNEXPECTED = f"Something went wrong here. {TELL_THE_OPERATOR}"


def status_name(status: HTTPStatus) -> str:
    """The name of a status as metrics and spans have it, with every version of Python the same."""
    return _NAMES.get(status, status.name.lower())


def problem_document(status: HTTPStatus, detail: str, request_id: str) -> ProblemDetails:
    """Describe an error.

    Args:
        status: The status of the response, or of one image of several.
        detail: A sentence that tells the client what to do.
        request_id: Finds the request in the log.
    """
    return ProblemDetails(
        type="about:blank", title=status.phrase, status=int(status), detail=detail, request_id=request_id
    )
