"""Which model a request may have, as its client says, where there may be two: stable, and a canary on trial."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from gateway.deadline import Deadline
from gateway.model.responses import ServedModel

STABLE, CANARY = LABELS = "stable", "canary"
FRESH = 1.0  # seconds since the model was seen, within which a client can hardly know a newer one


class NotServed(Exception):
    """There is no such model, or no such version of it; the message says what there is."""


class Describes(Protocol):
    """Knows a model server's model."""

    def get(self, deadline: Deadline, max_age: float | None = None) -> ServedModel:
        """The model, as it was described so many seconds ago at most; None means the own limit."""


def _at_once(job: Callable[[], object]) -> object:
    return job()


@dataclass(frozen=True)
class Choice:
    """What a request says about who responds to it, and what it leaves to be done when it has its response.

    Attributes:
        wanted: One of ``LABELS``, or the number of a version as text; None is whichever has its turn.
        is_binding: Whether no other model may respond, not even where the wanted one fails.
        routing_key: What makes requests of one client alike: they get the same model while its share stays. Empty
            where each request is drawn by itself. It is the client's text, so it is neither logged nor counted.
        afterwards: Takes what is to be done once the client has its response; it must be quick, and runs anywhere.
    """

    wanted: str | None = None
    is_binding: bool = False
    routing_key: str = field(default="", repr=False)
    afterwards: Callable[[Callable[[], object]], object] = _at_once

    @property
    def version(self) -> str | None:
        """The number that is wanted; None where a label is, or nothing."""
        return None if self.wanted in LABELS else self.wanted

    @property
    def binding_version(self) -> str | None:
        """The number that the response must have; None where any may do."""
        return self.version if self.is_binding else None


def find_stable(client: Describes, choice: Choice, deadline: Deadline, max_age: float | None = None) -> ServedModel:
    """The model of a gateway, or of its stable model server, for a request that may have no other.

    Args:
        client: Knows the model.
        choice: What the request says.
        deadline: Ends the work.
        max_age: How many seconds ago the model may have been seen; None means the client's own limit.

    Raises:
        NotServed: The request wants another one.
        ModelServerProblem: The model server gave no usable response.
        DeadlineExceeded: The deadline passed.
    """
    if choice.wanted == CANARY:
        raise NotServed("There is no canary now. Ask for another version, or for none.")
    model = client.get(deadline, max_age)
    if choice.version not in (None, str(model.version)):
        model = client.get(deadline, FRESH)
    return check_version(model, choice.version)


def check_version(model: ServedModel, version: str | None) -> ServedModel:
    """Return the model if it has this version, or if None is asked for.

    Raises:
        NotServed: It has another one.
    """
    if version not in (None, str(model.version)):
        raise not_served(model)
    return model


def not_served(*models: ServedModel) -> NotServed:
    """Say which versions there are, for a request that wants another one."""
    numbers = sorted({model.version for model in models})
    there = f"Versions {' and '.join(map(str, numbers))} are" if len(numbers) > 1 else f"Version {numbers[0]} is"
    return NotServed(f"This version is not served now. {there}; or leave the version out.")
