"""What a route declares about itself beside the function that answers, and the parts that several routes share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gateway.edge.lanes import Lane
from gateway.http.documents import Document, ProblemDetails
from gateway.http.problem import MEDIA_TYPE

JSON = "application/json"
View = TypeVar("View", bound=Callable[..., Any])
_ATTRIBUTE = "operation"


@dataclass(frozen=True)
class Content:
    """A body, as a request or a response has it.

    Attributes:
        schema: A type of document, or a JSON schema; one with a title can be referred to.
        media_type: Its media type.
    """

    schema: Any
    media_type: str = JSON


PROBLEM = Content(ProblemDetails, MEDIA_TYPE)


@dataclass(frozen=True)
class Reply:
    """A response.

    Attributes:
        meaning: When it is sent.
        contents: What its body may be.
        headers: Descriptions of headers that hold a number and do not go with every response of this status, by name.
    """

    meaning: str
    contents: tuple[Content, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Parameter:
    """A parameter in the query, in the path or in a header.

    Attributes:
        name: Its name.
        meaning: What it does.
        type: Its type, as ``msgspec.json.schema`` takes it.
        place: ``query``, ``path`` or ``header``.
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
        parameters: Of the query, the path and the headers.
        bodies: What the request's body may be; none for a request without one.
        lane: How its requests are run.
        scope: What a caller's key must be good for; None where nobody is asked for a key.
        error: The body of all other responses.
        admin_only: Whether it is at the port for probes and metrics, and at no other.
        is_quiet: Whether it is called every few seconds, or many times at once, so that the log is better without it.
        is_described: Whether it is for programs, which OpenAPI describes it to.
    """

    summary: str
    tag: str
    replies: Mapping[int, Reply]
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    bodies: tuple[Content, ...] = ()
    lane: Lane = Lane.OTHER
    scope: str | None = None
    error: Content = PROBLEM
    admin_only: bool = False
    is_quiet: bool = False
    is_described: bool = True


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
