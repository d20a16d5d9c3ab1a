"""What a response means: one table from statuses to errors."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from brain_tumor_client.errors import (
    ClientError,
    ImageRefused,
    KeyRefused,
    NotTheService,
    Problem,
    RequestLost,
    ServiceBusy,
    ServiceFault,
)
from brain_tumor_client.retry import seconds_of

_MAX_DETAIL = 500  # characters; a sentence or two
_BUSY = {408, 429, 502, 503, 504}
_KEY = {401, 403}
_ELSEWHERE = {404, 405, 410}


@dataclass(frozen=True)
class Response:
    """A whole response; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def check(response: Response) -> None:
    """Do nothing if the response is a success.

    Raises:
        ClientError: What its status means.
    """
    status = response.status
    if status == HTTPStatus.OK:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise NotTheService("The response is compressed, which was not asked for. Check the URL and its proxies.")
        length = response.headers.get("content-length")
        if length is not None and length.isdecimal() and int(length) != len(response.body):
            raise RequestLost("The connection was lost before the response was complete. Try again later.")
        return
    problem = problem_of(response)
    if status in _BUSY:
        raise ServiceBusy(problem)
    if status in _KEY:
        raise KeyRefused(problem)
    if 300 <= status < 400:
        raise NotTheService("The service is elsewhere: this URL leads to another one. Give the final URL.")
    if status < 300 or status in _ELSEWHERE:
        raise NotTheService("The service is not at this URL. Check the URL, also its path.")
    raise (ImageRefused if status < 500 else ServiceFault)(problem)


def problem_of(response: Response) -> Problem:
    """Read problem details; what a proxy says in another form becomes a problem too, in our words."""
    title = _phrase(response.status)
    detail, request_id = "", ""
    if "json" in response.headers.get("content-type", ""):
        try:
            document = json.loads(response.body)
            title = str(document.get("title") or title)
            detail = str(document.get("detail") or "")
            request_id = str(document.get("request_id") or "")
        except (ValueError, AttributeError):
            pass
    return Problem(
        response.status,
        title[:_MAX_DETAIL],
        detail[:_MAX_DETAIL] or f"The service responded with status {response.status} ({title}).",
        (request_id or response.headers.get("x-request-id", ""))[:64],
        seconds_of(response.headers.get("retry-after")),
    )


def retry_after_of(error: ClientError) -> float | None:
    """Seconds that the service asked to wait, if it did."""
    return error.problem.retry_after if isinstance(error, ServiceBusy) else None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown"
