"""The forms that an error's response has: problem details (RFC 9457), and below ``/v2`` what clients of the Open
Inference Protocol read."""

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.http.documents import Document, ProblemDetails, RequestId
from gateway.http.problem import MEDIA_TYPE

INFERENCE = "/v2"  # where the Open Inference Protocol has all its paths


class InferenceError(Document):
    """An error, as clients of the Open Inference Protocol read it."""

    error: Annotated[str, Meta(description="What the client can do about it.")]
    request_id: RequestId


def error_body(path: str, problem: ProblemDetails) -> tuple[bytes, str]:
    """Write an error as the clients of a path read it.

    Args:
        path: Of the request, as WSGI has it; there may be nothing at it.
        problem: The problem details.

    Returns:
        The body, and its media type.
    """
    if path == INFERENCE or path.startswith(f"{INFERENCE}/"):
        error = InferenceError(error=problem.detail, request_id=problem.request_id)
        return msgspec.json.encode(error), "application/json"
    return msgspec.json.encode(problem), MEDIA_TYPE
