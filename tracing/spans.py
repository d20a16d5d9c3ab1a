"""How the code of both tiers speaks of spans; where nobody traces, all of this does nothing.

A request has a first span, which a ``Tracing`` makes, and each thread that works on the request knows its current one.
What is done for a request says ``with span("name")`` and needs to be handed nothing. Names and values are this
project's own words and numbers: no text of a client, of an image or of an exception.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TypeAlias

Value: TypeAlias = str | bool | int | float
Headers: TypeAlias = tuple[tuple[str, str], ...]


class Span:
    """A span that is not there, and takes whatever is said to it.

    Attributes:
        trace_id: The id of its trace, 32 hexadecimal digits; empty where there is none.
    """

    trace_id: str = ""

    @property
    def headers(self) -> Headers | None:
        """What tells the next server of it (W3C Trace Context): names in lower case, and values; None for nothing."""
        return None

    def set(self, name: str, value: Value) -> None:
        """Set an attribute."""

    def event(self, name: str, attributes: Mapping[str, Value] | None = None) -> None:
        """Note that something happened now."""

    def fail(self, reason: str) -> None:
        """Mark the span as failed; the reason is one word of few."""

    def child(self, name: str, *, calls: bool = False) -> "AbstractContextManager[Span]":
        """A span within this one, which is the current one in the block; an exception of the block marks it as failed.

        Args:
            name: One of few.
            calls: Whether the block calls another server.
        """
        return _NOTHING

    def add_child(self, name: str, start: int, end: int, attributes: Mapping[str, Value] | None = None) -> None:
        """Add a span within this one for something that is over.

        Args:
            name: One of few.
            start: When it began, as ``time.time_ns`` tells it.
            end: When it ended.
            attributes: Its attributes.
        """


NO_SPAN = Span()
_NOTHING: AbstractContextManager[Span] = nullcontext(NO_SPAN)
_CURRENT: ContextVar[Span] = ContextVar("span", default=NO_SPAN)


class Tracing:
    """Makes the first span of each request; this one makes none.

    Attributes:
        is_on: Whether it makes any.
        closing_seconds: How long ``close`` may take, at most.
    """

    is_on = False
    closing_seconds = 0.0

    def serve(
        self, name: str, header: Callable[[str], str | None], started: int | None = None
    ) -> AbstractContextManager[Span]:
        """The span of a request, which is the current one in the block.

        Args:
            name: One of few.
            header: Gives the request's header, or the call's metadata, of a name in lower case. The span is a child of
                the one that ``traceparent`` names; a value that is malformed is ignored.
            started: When the request was there, as ``time.time_ns`` tells it; None is now.
        """
        return _NOTHING

    def close(self) -> None:
        """Send what was not sent yet, and end."""


NO_TRACING = Tracing()


def current() -> Span:
    """The span that this thread works for."""
    return _CURRENT.get()


def span(name: str, *, calls: bool = False) -> AbstractContextManager[Span]:
    """A span within the current one, as ``Span.child``."""
    return _CURRENT.get().child(name, calls=calls)


@contextmanager
def entered(made: Span) -> Iterator[Span]:
    """Make a span the current one in the block; for those who make spans."""
    token = _CURRENT.set(made)
    try:
        yield made
    finally:
        _CURRENT.reset(token)
