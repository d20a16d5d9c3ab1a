"""What can go wrong, each named for what it means to the caller.

A message is a sentence that says what to do. None holds the content of an image, a file name or an API key.
"""

from dataclasses import dataclass


class ClientError(Exception):
    """The base of all errors of this package.

    Attributes:
        temporary: Whether the same request may succeed later.
    """

    temporary = False


class ImageUnusable(ClientError):
    """The image was not sent: it cannot be read, or is no image that can be sent."""


class ImageAway(ImageUnusable):
    """The image cannot be read now: the bucket that it is in is busy or not reachable."""

    temporary = True


class PlaceUnreadable(ClientError):
    """What a command names holds nothing, or cannot be listed."""


class PlaceAway(PlaceUnreadable):
    """What a command names cannot be listed now."""

    temporary = True


class ModelError(ClientError):
    """A model's version folder was not fetched."""


class ModelUnusable(ModelError):
    """There is no archive of a version folder, or not the one that was asked for."""


class ModelRefused(ModelError):
    """The archive is there, but only others may read it."""


class ModelAway(ModelError):
    """The archive cannot be read now."""

    temporary = True


class ModelChanged(ModelAway):
    """The archive is not the one any more that the download began with."""


class ServiceUnreachable(ClientError):
    """No connection to the service can be made."""

    temporary = True


class RequestLost(ClientError):
    """The connection was cut, or the response did not come in time."""

    temporary = True


class NotTheService(ClientError):
    """What responds at this URL is not the service, or does not speak as it should."""


@dataclass(frozen=True)
class Problem:
    """What the service says is wrong (RFC 9457).

    Attributes:
        status: The HTTP status.
        title: The status in words.
        detail: A sentence that says what to do.
        request_id: Finds the request in the log of the service; empty if the response has none.
        retry_after: Seconds after which the service wants to be asked again, if it says so.
    """

    status: int
    title: str
    detail: str
    request_id: str = ""
    retry_after: float | None = None


class _WithProblem(ClientError):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class ImageRefused(_WithProblem):
    """The service cannot classify this image, and says why (status 400 to 499)."""


class KeyRefused(_WithProblem):
    """The service wants an API key, or another one (status 401, 403)."""


class ServiceBusy(_WithProblem):
    """The service is busy, or its model is away (status 408, 429, 502, 503, 504)."""

    temporary = True


class ServiceFault(_WithProblem):
    """A fault of the service (other status from 500)."""
