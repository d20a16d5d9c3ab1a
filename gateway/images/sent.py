"""What a request holds, before anything is fetched or decoded, and what can be wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

# What a client may ask for, in the query or beside its images: a flag, or a whole number from 1.
OPTIONS: Mapping[str, type[bool] | type[int]] = {"explain": bool, "page": int, "frame": int, "view": bool}
USAGE = (
    'Send a multipart form with the file in the field "image", the image itself as body with its media type, such as '
    'image/jpeg, or JSON: {"image": "<base64>"} or {"url": "..."}.'
)


class InvalidRequest(Exception):
    """A request that does not hold what it should; the message tells the client what to send."""


class UnsupportedMediaType(Exception):
    """A body whose media type or content coding cannot be read."""


class BodyTooLarge(Exception):
    """More bytes than a request may have, as they are sent or once they are inflated."""


class TooManyImages(Exception):
    """More images, or parts of a form, than one request may hold."""


@dataclass(frozen=True)
class Url:
    """An image that must be fetched first."""

    text: str


Item: TypeAlias = bytes | Url | InvalidRequest  # of one image: an error says why it cannot be read


@dataclass(frozen=True)
class Sent:
    """The images of a request, and the options that its body holds.

    Attributes:
        items: One for each image, one or more, in the client's order.
        listed: Whether the client sent a list, and so gets a list.
        options: Texts of ``OPTIONS``, where the body has them.
    """

    items: list[Item]
    listed: bool
    options: dict[str, str] = field(default_factory=dict)

    @property
    def has_urls(self) -> bool:
        """Whether an image must be fetched."""
        return any(isinstance(item, Url) for item in self.items)


def too_many_images(limit: int) -> TooManyImages:
    """Say how many images one request may hold."""
    return TooManyImages(f"The request holds more than {limit} images. Send several requests.")
