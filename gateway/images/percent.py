"""Percent-encoding undone within bounds: the library's way takes eighty bytes of memory for each escape."""

from urllib.parse import unquote_to_bytes

from gateway.images.sent import InvalidRequest

# The base64 of the largest body has about 600,000, if a client escapes its "+", "/" and "=".
MAX_ESCAPES = 1_000_000
_PIECE_BYTES = 64 << 10


def unquote(data: bytes) -> bytes:
    """Undo the percent-encoding of some bytes; what is no escape stays.

    Raises:
        InvalidRequest: There are more than ``MAX_ESCAPES``.
    """
    if data.count(b"%") > MAX_ESCAPES:
        raise InvalidRequest("Too much of the text is percent-encoded. Send the image as base64, or as a file.")
    pieces, start = [], 0
    while start < len(data):
        end = start + _PIECE_BYTES
        if (escape := data.find(b"%", end - 2, end)) >= 0:  # not cut in two
            end = escape + 3
        pieces.append(unquote_to_bytes(data[start:end]))
        start = end
    return b"".join(pieces)
