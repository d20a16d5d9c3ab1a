"""Images that are written as text: URLs, data URIs (RFC 2397), and base64 as any client writes it."""

import binascii
import string
from contextlib import suppress

from gateway.images.percent import decode_percent
from gateway.images.sent import InvalidRequest, Item, Url

_URL_SAFE = bytes.maketrans(b"-_", b"+/")  # RFC 4648, section 5
_WHITESPACE = string.whitespace.encode()
_BEGINNING = 512  # bytes


def is_text(data: bytes) -> bool:
    """Whether the data begins like text in ASCII: no format of images does."""
    return not any(byte < 9 or 13 < byte < 32 or byte > 126 for byte in data[:_BEGINNING])


def is_uri(text: str) -> bool:
    """Whether the text begins like a data URI, or like a URL that can be fetched."""
    return text[:8].lower().startswith(("data:", "http://", "https://"))


def from_text(text: str, name: str, *, is_url: bool = False) -> Item:
    """Read an image's text; an error says what is wrong with it.

    Base64 may have line breaks, the URL-safe alphabet, or no padding.

    Args:
        text: What the client sent: base64, a data URI or a URL.
        name: Where the client sent it, for the error.
        is_url: Whether it is a URL or a data URI in any case.
    """
    text = text.strip()
    try:
        if text[:5].lower() == "data:":
            return _decode_data_uri(text, name)
        return Url(text) if is_url or is_uri(text) else _decode_base64(text, name)
    except InvalidRequest as error:
        return error


def _decode_data_uri(text: str, name: str) -> bytes:
    kind, comma, data = text.partition(",")
    if not comma:
        raise InvalidRequest(f"{name} is an incomplete data URI. Write data:image/png;base64, and then the base64.")
    is_base64 = kind.rstrip()[-7:].lower() == ";base64"
    if is_base64 and "%" not in data:
        return _decode_base64(data, name)
    decoded = decode_percent(data.encode(errors="replace"))
    return _decode_base64(decoded.decode("latin-1"), name) if is_base64 else decoded


def _decode_base64(text: str, name: str) -> bytes:
    with suppress(ValueError):
        return binascii.a2b_base64(text, strict_mode=True)  # as nearly all write it
    try:
        data = text.encode("ascii").translate(_URL_SAFE, _WHITESPACE)
        unpadded = data.rstrip(b"=")
        if len(data) - len(unpadded) > 2:
            raise ValueError
        return binascii.a2b_base64(unpadded + b"=" * (-len(unpadded) % 4), strict_mode=True)
    except ValueError:
        raise InvalidRequest(
            f"{name} is not valid base64. Encode the bytes of the whole file, and send all of the text."
        ) from None
