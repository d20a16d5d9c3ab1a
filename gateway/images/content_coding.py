"""Bodies that clients compress (RFC 9110, section 8.4), inflated no further than the limit: a few bytes can hold
gigabytes."""

import re
import zlib

from gateway.images.sent import BodyTooLarge, InvalidRequest, UnsupportedMediaType

_GZIP = 16 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS  # deflate without zlib's header, which some clients send
# Each costs some work, though it may hold nothing. Tools that make members of 64 KiB need a third of these.
_MAX_MEMBERS = 1000
_PIECE = 64 << 10  # bytes; what follows a member in its last piece is copied
_PADDING = re.compile(rb"\0*")


def inflate(body: bytes, coding: str, limit: int) -> bytes:
    """Undo the content coding of a body.

    Args:
        body: The body as it was sent.
        coding: The header Content-Encoding; an empty one changes nothing.
        limit: Largest size of the result, in bytes.

    Raises:
        UnsupportedMediaType: The coding is another one, or there are several.
        InvalidRequest: The body is not in this coding, or incomplete, or in too many pieces.
        BodyTooLarge: The result is larger than the limit.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity") or not body:
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise UnsupportedMediaType("The Content-Encoding must be one of gzip, deflate and identity. Send one of these.")
    try:
        inflated = _inflate_deflate(body, limit) if coding == "deflate" else _inflate_gzip(body, limit)
    except (EOFError, zlib.error):
        raise InvalidRequest(
            f"The body is damaged, incomplete or not {coding}. Send it whole, or without Content-Encoding."
        ) from None
    if len(inflated) > limit:
        raise BodyTooLarge(
            f"The request is larger than {limit:,} bytes once it is inflated. Send a smaller image, or fewer at a time."
        )
    return inflated


def _inflate_gzip(body: bytes, limit: int) -> bytes:
    """Inflate the members of a gzip file, which zeros may follow (RFC 1952), until one byte more than the limit.

    Not with Python's ``gzip``, which takes seconds for a body of tiny members, of zeros, or with a long name.
    """
    inflated = bytearray()
    rest = memoryview(body)
    for _ in range(_MAX_MEMBERS):
        member = zlib.decompressobj(_GZIP)
        while not member.eof:
            if not rest:
                raise EOFError
            piece = rest[:_PIECE]
            inflated += member.decompress(piece, limit + 1 - len(inflated))
            if len(inflated) > limit:
                return bytes(inflated)
            rest = rest[len(piece) - len(member.unused_data) :]
        padding = _PADDING.match(rest)
        rest = rest[padding.end() if padding else 0 :]
        if not rest:
            return bytes(inflated)
    raise InvalidRequest(f"The gzip body has more than {_MAX_MEMBERS:,} members. Compress the whole body at once.")


def _inflate_deflate(body: bytes, limit: int) -> bytes:
    try:
        return _decompress(body, zlib.MAX_WBITS, limit)
    except zlib.error:
        return _decompress(body, _RAW, limit)


def _decompress(body: bytes, window_bits: int, limit: int) -> bytes:
    decompressor = zlib.decompressobj(window_bits)
    inflated = decompressor.decompress(body, limit + 1)
    if not decompressor.eof and len(inflated) <= limit:
        raise EOFError
    return inflated
