"""Which model and version a client means, and whether it is served."""

from typing import Protocol

from gateway.classify.choice import Choice, NotServed, check_version, find_stable
from gateway.deadline import Deadline
from gateway.model.client import ModelClient
from gateway.model.responses import ModelServerProblem, ServedModel


class NotReady(Exception):
    """The model does not respond now."""


class Finds(Protocol):
    """Knows a second model beside this one."""

    def find(self, choice: Choice, deadline: Deadline, max_age: float | None = None) -> ServedModel:
        """The one of the two that a request's images must suit; arguments and errors as of ``Served.find``."""


class Served:
    """The one model that this gateway serves, by the name and the version that clients write.

    Args:
        model_client: Knows the model.
        name: Its name.
        canary: Knows a second model of this name; None where there is none.
    """

    def __init__(self, model_client: ModelClient, name: str, canary: Finds | None = None) -> None:
        self._client = model_client
        self._name = name
        self._canary = canary

    def find(self, name: str, choice: Choice, deadline: Deadline, max_age: float | None = None) -> ServedModel:
        """Find the model that a request's images must suit.

        Args:
            name: What the client calls the model.
            choice: What it says of the version.
            deadline: Ends the work.
            max_age: How many seconds ago the model may have been seen; None means the model client's own limit.

        Raises:
            NotServed: It is another one.
            ModelServerProblem: The model server gave no usable response.
            DeadlineExceeded: The deadline passed.
        """
        self._check_name(name)
        if self._canary:
            return self._canary.find(choice, deadline, max_age)
        return find_stable(self._client, choice, deadline, max_age)

    def look(self, name: str, version: str | None) -> ServedModel:
        """The model as it is about now, for clients that ask how it is; cheap for any number of them.

        Raises:
            NotServed: It is another one.
            NotReady: It does not respond.
        """
        self._check_name(name)
        try:
            return check_version(self._client.check(), version)
        except ModelServerProblem:
            raise NotReady("The model does not respond now. Try again shortly.") from None

    def look_at_any(self) -> ServedModel:
        """The model of this gateway; errors as of ``look``."""
        return self.look(self._name, None)

    def _check_name(self, name: str) -> None:
        if name != self._name:
            raise NotServed(f'There is no model of this name. The model is called "{self._name}".')
