"""The images of a JSON body: as base64, as data URIs or behind URLs, alone or in lists, TensorFlow Serving's too."""

import json
from typing import Any

from gateway.images.sent import OPTIONS, InvalidRequest, Item, Sent, too_many_images
from gateway.images.text import from_text

_MAX_PARTS = 4096  # a URL may hold commas; parsed lists and objects take thirty times the memory of their text
_URL_KEYS = ("url", "urls")
_KEYS = ("image", "images", *_URL_KEYS, "b64", "instances", "inputs")  # the last three are TensorFlow Serving's
_IGNORED = ("signature_name",)  # TensorFlow Serving's clients send it
_USAGE = 'Write {"image": "<base64>"}, {"url": "..."}, or several: {"images": [...]} or {"urls": [...]}.'


def from_json(body: bytes, max_images: int) -> Sent:
    """Take the images and options from a JSON body.

    Args:
        body: The JSON, in any Unicode encoding.
        max_images: Largest count of images.

    Raises:
        InvalidRequest: The body is not JSON, or does not hold what it should.
        TooManyImages: There are too many images.
    """
    if sum(map(body.count, (b"[", b"{", b","))) > _MAX_PARTS:
        raise InvalidRequest(f"The JSON has more than {_MAX_PARTS:,} values. Send image files, not pixels. {_USAGE}")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"The body is not valid JSON. {_USAGE}") from None
    if not isinstance(document, dict):
        raise InvalidRequest(f"The JSON must be an object. {_USAGE}")
    keys = [key for key in document if key in _KEYS]
    unknown = set(document) - {*_KEYS, *OPTIONS, *_IGNORED}
    if len(keys) != 1 or unknown:
        raise InvalidRequest(
            f"The JSON must have exactly one of the keys {', '.join(_KEYS)}, and may have {', '.join(OPTIONS)}. "
            f"{_USAGE}"
        )
    (key,) = keys
    value = document[key]
    if isinstance(value, list):
        if not value:
            raise InvalidRequest(f'"{key}" is an empty list. {_USAGE}')
        if len(value) > max_images:
            raise too_many_images(max_images)
        items = [_item(element, f'"{key}"[{index}]', key in _URL_KEYS) for index, element in enumerate(value)]
        listed = True
    else:
        items, listed = [_item(value, f'"{key}"', key in _URL_KEYS)], False
    options = {name: _option(name, document[name]) for name in OPTIONS if document.get(name) is not None}
    return Sent(items, listed, options)


def _item(value: Any, name: str, is_url: bool) -> Item:
    """Read one image: a text, or an object that holds one, such as {"b64": "..."} or {"image": {"b64": "..."}}.

    Args:
        value: The image's JSON.
        name: Where it stands, for the error.
        is_url: Whether a text is a URL.
    """
    for _ in range(2):
        if isinstance(value, dict) and len(value) == 1:
            ((key, value),) = value.items()
            is_url = key in _URL_KEYS
    if not isinstance(value, str) or not value.strip():
        return InvalidRequest(f'{name} must be a text that is not empty, or an object: {{"b64": "<base64>"}}.')
    return from_text(value, name, is_url=is_url)


def _option(name: str, value: Any) -> str:
    if not isinstance(value, str | int):
        raise InvalidRequest(
            f'"{name}" must be {"true or false" if OPTIONS[name] is bool else "a whole number from 1"}.'
        )
    return str(value)
