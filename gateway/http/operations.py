"""What a route declares about itself beside the function that answers, and the parts that several routes share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from gateway.edge.lanes import Lane
from gateway.http.documents import Document, ProblemDetails
from gateway.http.problem import MEDIA_TYPE

JSON = "application/json"
View = TypeVar("View", bound=Callable[..., Any])
_ATTRIBUTE = "operation"
_LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True)
class Content:
    """A body, as a request or a response has it.

    Attributes:
        schema: A type of document, or a JSON schema; one with a title can be referred to.
        media_type: Its media type.
    """

    schema: Any
    media_type: str = JSON


@dataclass(frozen=True)
class Reply:
    """A response.

    Attributes:
        meaning: When it is sent.
        contents: What its body may be.
        headers: Descriptions of headers that only some responses carry, by name.
    """

    meaning: str
    contents: tuple[Content, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Parameter:
    """A parameter in the query or in the path.

    Attributes:
        name: Its name.
        meaning: What it does.
        type: Its type, as ``msgspec.json.schema`` takes it.
        place: ``query`` or ``path``.
    """

    name: str
    meaning: str
    type: Any
    place: str = "query"


@dataclass(frozen=True)
class Operation:
    """A method of a path.

    Attributes:
        summary: A few words.
        tag: The group that it is shown in.
        replies: The responses, by status.
        description: More about it, in Markdown.
        parameters: Of the query and the path.
        bodies: What the request's body may be; none for a request without one.
        lane: How its requests are run.
        scope: What a caller's key must be good for; None where nobody is asked for a key.
        error: The body of all other responses.
        is_admin: Whether it is for the cluster: at a port of its own, if there is one.
    """

    summary: str
    tag: str
    replies: Mapping[int, Reply]
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    bodies: tuple[Content, ...] = ()
    lane: Lane = Lane.OTHER
    scope: str | None = None
    error: Content = Content(ProblemDetails, MEDIA_TYPE)
    is_admin: bool = False


def declared(operation: Operation) -> Callable[[View], View]:
    """A decorator of a view: what it declares stands beside it."""

    def declare(view: View) -> View:
        setattr(view, _ATTRIBUTE, operation)
        return view

    return declare


def operation_of(view: Callable[..., Any]) -> Operation | None:
    """What a view declares."""
    return getattr(view, _ATTRIBUTE, None)


def json_reply(meaning: str, document: type[Document]) -> Reply:
    """A response with a document."""
    return Reply(meaning, (Content(document),))


def problem_reply(status: int, meaning: str) -> Reply:
    """A response with a problem."""
    headers = {"Retry-After": "Seconds after which to try again."} if status in _LATER else {}
    return Reply(meaning, (Content(ProblemDetails, MEDIA_TYPE),), headers)
