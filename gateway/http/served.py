"""Which model and version a client means, and whether it is served."""

from gateway.deadline import Deadline
from gateway.model.client import ModelClient
from gateway.model.responses import ModelServerProblem, ServedModel

FRESH = 1.0  # seconds since the model was seen, within which a client can hardly know a newer one


class NotServed(Exception):
    """There is no such model, or no such version of it; the message says what there is."""


class NotReady(Exception):
    """The model does not respond now."""


class Served:
    """The one model that this gateway serves, by the name and the version that clients write.

    Args:
        model_client: Knows the model.
        name: Its name.
    """

    def __init__(self, model_client: ModelClient, name: str) -> None:
        self._client = model_client
        self._name = name

    def find(self, name: str, version: str | None, deadline: Deadline, max_age: float | None = None) -> ServedModel:
        """Find the model to predict with.

        Args:
            name: What the client calls the model.
            version: What it calls the version; None is whichever is served.
            deadline: Ends the work.
            max_age: How many seconds ago the model may have been seen; None means the model client's own limit.

        Raises:
            NotServed: It is another one.
            ModelServerProblem: The model server gave no usable response.
            DeadlineExceeded: The deadline passed.
        """
        self._check_name(name)
        model = self._client.get(deadline, max_age)
        if version not in (None, str(model.version)):
            model = self._client.get(deadline, FRESH)
        return check_version(model, version)

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


def check_version(model: ServedModel, version: str | None) -> ServedModel:
    """Return the model if it has this version, or if None is asked for.

    Raises:
        NotServed: It has another one.
    """
    if version not in (None, str(model.version)):
        raise NotServed(f"This version is not served now. Version {model.version} is; or leave the version out.")
    return model
