"""The images of a request: in a form, in JSON, as the body itself, or behind URLs."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Request

from gateway.deadline import Deadline
from gateway.images.content_coding import inflate
from gateway.images.from_form import from_parts, from_urlencoded
from gateway.images.from_json import from_json
from gateway.images.from_url import Fetcher
from gateway.images.multipart import read_parts
from gateway.images.sent import USAGE, InvalidRequest, Item, Sent, UnsupportedMediaType, Url
from gateway.images.text import is_text
from gateway.images.url import FetchError, UrlRefused

URLENCODED = "application/x-www-form-urlencoded"
OCTETS = ("application/octet-stream", "binary/octet-stream")  # the second is S3's
# What HTTP libraries say of a body when nobody has told them its type; curl says URLENCODED.
_ANYTHING = ("", "text/plain", URLENCODED, *OCTETS)
DICOM = "application/dicom"  # PS3.11, and RFC 3240
_JSON_BEGINNINGS = (b"{", b"[")


@dataclass(frozen=True)
class ImageSource:
    """Reads the images of a request.

    Attributes:
        fetcher: Fetches images by URL; None refuses URLs.
        max_images: Largest count of images in one request.
        max_bytes: Largest size of a body once it is inflated; the edge bounds what is sent.
    """

    fetcher: Fetcher | None
    max_images: int
    max_bytes: int

    def read(self, request: Request) -> Sent:
        """Take the images, one or more, and the options that stand beside them.

        Raises:
            InvalidRequest: The body does not hold what it should.
            UnsupportedMediaType: The body's media type holds no image, or its content coding is not known.
            BodyTooLarge: The body is larger than the limit once it is inflated, or a form's text is too large.
            TooManyImages: There are more images than one request may hold.
        """
        body = inflate(request.get_data(cache=False), request.headers.get("Content-Encoding", ""), self.max_bytes)
        if not body:
            raise InvalidRequest(f"The request has no body. {USAGE}")
        media_type = request.mimetype
        if media_type == "multipart/form-data":
            return from_parts(read_parts(body, request.headers["Content-Type"]), self.max_images)
        if request.is_json:
            return from_json(body, self.max_images)
        if media_type.startswith("image/") or media_type == DICOM:
            return Sent([body], listed=False)
        if media_type in _ANYTHING:
            return self._from_anything(body, media_type)
        raise UnsupportedMediaType(f"This media type holds no image. {USAGE}")

    def fetch(self, items: Sequence[Item], deadline: Deadline) -> list[bytes | InvalidRequest | FetchError]:
        """Fetch the images that are behind URLs, one after the other; the others stay.

        Args:
            items: The images of one request.
            deadline: The request's. Of several URLs each gets a share of the time, so that one which does not respond
                leaves time for the others and for the prediction.

        Returns:
            For each image its bytes, or the error that says why there are none.

        Raises:
            DeadlineExceeded: The deadline passed.
            ClientLeft: Nobody waits for the images.
        """
        left = sum(isinstance(item, Url) for item in items)
        several = left > 1
        images: list[bytes | InvalidRequest | FetchError] = []
        for item in items:
            if not isinstance(item, Url):
                images.append(item)
                continue
            try:
                images.append(self._fetch(item, deadline, left + 1 if several else 1))
            except FetchError as error:
                images.append(error)
            left -= 1
        return images

    def _fetch(self, url: Url, deadline: Deadline, shares: int) -> bytes:
        if self.fetcher is None:
            raise UrlRefused("This service does not fetch images by URL. Send the image itself.")
        return self.fetcher.fetch(url.text, deadline, shares)

    def _from_anything(self, body: bytes, media_type: str) -> Sent:
        """Decide by the body itself, which its media type says nothing about."""
        if not is_text(body):
            return Sent([body], listed=False)
        if body.lstrip().startswith(_JSON_BEGINNINGS):
            return from_json(body, self.max_images)
        if media_type == URLENCODED:
            return from_urlencoded(body, self.max_images)
        raise UnsupportedMediaType(f"The body is text, not an image. {USAGE}")
