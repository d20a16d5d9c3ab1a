"""The images of a form: files, and text fields with URLs, in the order of the parts."""

import re
from collections.abc import Iterable
from dataclasses import replace

from gateway.images.multipart import Part
from gateway.images.percent import decode_percent
from gateway.images.sent import (
    OPTIONS,
    USAGE,
    BodyTooLarge,
    InvalidRequest,
    Item,
    Sent,
    TooManyImages,
    too_many_images,
)
from gateway.images.text import from_text, is_text, is_uri

# As curl, browsers, upload widgets and other services' clients call them: image, file, images, files[], file[0].
_IMAGE_FIELD = re.compile(r"(?:image|file)s?(?:\[\d*\])?", re.IGNORECASE)
_URL_FIELD = re.compile(r"urls?(?:\[\d*\])?", re.IGNORECASE)
_BASE64 = re.compile(rb"[A-Za-z0-9+/_=\s-]{64,}")  # what is shorter is a file's name, or another slip
_OTHER_PARTS = 8  # besides the images, which forms of browsers and tools add
_MAX_TEXT = 256 << 10  # bytes of a field that holds no image
_PLUS_IS_SPACE = bytes.maketrans(b"+", b" ")
_SPACE_IS_PLUS = bytes.maketrans(b" ", b"+")
_TEXT_TYPES = ("", "text/plain")


def from_parts(parts: Iterable[Part], max_images: int) -> Sent:
    """Take the images and options from the parts of a form.

    Args:
        parts: The parts, in order; taking the next one may raise an error.
        max_images: Largest count of images.

    Raises:
        InvalidRequest: The form is malformed or holds no image.
        TooManyImages: It has too many images or parts.
        BodyTooLarge: A field that holds no image is too large.
    """
    items: list[Item] = []
    options: dict[str, str] = {}
    names_to_change = False
    for number, part in enumerate(parts, 1):
        if number > max_images + _OTHER_PARTS:
            raise _too_many_parts(max_images)
        name = part.name or ""
        item: Item | None = None
        if _IMAGE_FIELD.fullmatch(name) or (not name and part.filename):
            item = _image(part)
        elif _URL_FIELD.fullmatch(name):
            item = from_text(part.text, _called(part), is_url=True) if part.data.strip() else None
        elif len(part.data) > _MAX_TEXT:
            raise BodyTooLarge(
                f'A field of the form that holds no image has more than {_MAX_TEXT:,} bytes. Send images in "image".'
            )
        elif name.lower() in OPTIONS:
            options.setdefault(name.lower(), part.text)
        else:
            names_to_change = names_to_change or bool(part.filename)
        if item is not None:
            items.append(item)
            if len(items) > max_images:
                raise too_many_images(max_images)
    if not items:
        lacks = "no file in a field with the name" if names_to_change else "neither a file nor a URL: no field"
        raise InvalidRequest(f'The form has {lacks} "image", "file" or "url". {USAGE}')
    return Sent(items, listed=len(items) > 1, options=options)


def from_urlencoded(body: bytes, max_images: int) -> Sent:
    """Take the images and options from a form without files, as HTML and many HTTP libraries send it by default.

    Raises:
        InvalidRequest: The form holds no image.
        TooManyImages: It has too many images or fields.
        BodyTooLarge: A field that holds no image is too large.
    """
    fields = body.split(b"&", max_images + _OTHER_PARTS)
    if len(fields) > max_images + _OTHER_PARTS:
        raise _too_many_parts(max_images)
    return from_parts(map(_urlencoded_part, filter(None, fields)), max_images)


def _urlencoded_part(field: bytes) -> Part:
    encoded_name, _, encoded = field.partition(b"=")
    name, data = (decode_percent(text.translate(_PLUS_IS_SPACE)) for text in (encoded_name, encoded))
    part = Part(name.decode(errors="replace"), None, "", data)
    if not _IMAGE_FIELD.fullmatch(part.name or ""):
        return part
    # A + of base64 that the client did not encode has become a space.
    return replace(part, data=data.translate(_SPACE_IS_PLUS))


def _too_many_parts(max_images: int) -> TooManyImages:
    return TooManyImages(f"The form has more than {max_images + _OTHER_PARTS} parts. Send several requests.")


def _image(part: Part) -> Item | None:
    """The image of a part that should hold one; None if no file was chosen."""
    if not part.data and not part.filename:
        return None
    if part.filename or part.media_type not in _TEXT_TYPES or not is_text(part.data):
        return part.data
    if is_uri(part.text) or _BASE64.fullmatch(part.data):
        return from_text(part.text, _called(part))
    return InvalidRequest(f"{_called(part)} holds text, not an image. With curl, write an @: -F image=@FILE.")


def _called(part: Part) -> str:
    return "The field with the URL" if _URL_FIELD.fullmatch(part.name or "") else "The field with the image"
