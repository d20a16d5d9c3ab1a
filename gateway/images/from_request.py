"""The encoded images of a request: in a form, in JSON, as the body itself, or behind a URL."""

import base64
import binascii
import io
import json
import string
from dataclasses import dataclass
from typing import IO

from flask import Request

from gateway.deadline import Deadline
from gateway.images.from_url import Fetcher
from gateway.images.url import UrlRefused

FIELD = "image"
_MAX_JSON_PARTS = 4096  # a URL may hold commas; parsed lists and objects take thirty times the memory of their text
_USAGE = (
    'Send JSON {"url": "..."} or {"image": "<base64>"}, a multipart form with the file in the field "image", '
    "or the image itself as body with its media type, such as image/jpeg."
)


class InvalidRequest(Exception):
    """A request that does not hold what it should; the message tells the client what to send."""


class UnsupportedMediaType(Exception):
    """A body whose media type holds no image."""


class TooManyImages(Exception):
    """More images than one request may hold."""


class UploadTooSlow(Exception):
    """The client did not send its request in time."""


class ImageRequest(Request):
    """A request whose uploads stay in memory: images of people are never written to disk."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        return io.BytesIO()


@dataclass(frozen=True)
class ImageSource:
    """Reads the images of a request.

    Attributes:
        fetcher: Fetches images by URL; None refuses URLs.
        max_images: Largest count of images in one request.
        upload_timeout: Seconds for a client to send its request.
    """

    fetcher: Fetcher | None
    max_images: int

    def images(self, request: Request, deadline: Deadline) -> list[bytes]:
        """Take the encoded images, one or more, in order, from a request that was received.

        Raises:
            InvalidRequest: The body does not hold what it should.
            UnsupportedMediaType: The body's media type holds no image.
            TooManyImages: There are more images than one request may hold.
            FetchError: The image cannot be fetched by URL; the subclass says why.
        """
        if request.mimetype == "multipart/form-data":
            return self._from_form(request)
        if request.is_json:
            return [self._from_json(request.get_data(), deadline)]
        if request.mimetype.startswith("image/") or request.mimetype == "application/octet-stream":
            return [request.get_data()]
        raise UnsupportedMediaType(f"This kind of body holds no image. {_USAGE}")

    def _from_form(self, request: Request) -> list[bytes]:
        files = request.files.getlist(FIELD)
        if not files:
            raise InvalidRequest(f'The form has no file in a field "{FIELD}". {_USAGE}')
        if len(files) > self.max_images:
            raise TooManyImages(f"The form holds more than {self.max_images} images. Send several requests.")
        return [file.read() for file in files]

    def _from_json(self, body: bytes, deadline: Deadline) -> bytes:
        if sum(map(body.count, (b"[", b"{", b","))) > _MAX_JSON_PARTS:
            raise InvalidRequest('The JSON must be an object with exactly one of "url" and "image".')
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            raise InvalidRequest(f"The body is not valid JSON. {_USAGE}") from None
        if not isinstance(document, dict) or set(document) not in ({"url"}, {"image"}):
            raise InvalidRequest('The JSON must be an object with exactly one of "url" and "image".')
        ((kind, value),) = document.items()
        if not isinstance(value, str) or not value:
            raise InvalidRequest(f'"{kind}" must be a string that is not empty.')
        if kind == "image":
            return _decode_base64(value)
        if self.fetcher is None:
            raise UrlRefused("This service does not fetch images by URL. Send the image itself.")
        return self.fetcher.fetch(value, deadline)


def _decode_base64(text: str) -> bytes:
    """Decode the base64 of an image, with or without line breaks and a ``data:`` prefix (RFC 2397)."""
    if text.startswith("data:"):
        prefix, _, text = text.partition(",")
        if not prefix.endswith(";base64"):
            raise InvalidRequest('A data URI in "image" must be base64: data:image/png;base64,...')
    try:
        return base64.b64decode(text.encode("ascii").translate(None, string.whitespace.encode()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest('"image" is not valid base64.') from None
