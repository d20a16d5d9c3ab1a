"""Bodies that clients compress (RFC 9110, section 8.4), inflated no further than the limit: a few bytes can hold
gigabytes."""

import gzip
import io
import zlib

from gateway.images.sent import BodyTooLarge, InvalidRequest, UnsupportedMediaType

_GZIP_MEMBER = b"\x1f\x8b\x08"  # how each begins (RFC 1952); a compressed image holds one by chance in 16 MB
_MAX_GZIP_MEMBERS = 1000
_RAW = -zlib.MAX_WBITS  # deflate without zlib's header, which some clients send


def inflate(body: bytes, coding: str, limit: int) -> bytes:
    """Undo the content coding of a body.

    Args:
        body: The body as it was sent.
        coding: The header Content-Encoding; an empty one changes nothing.
        limit: Largest size of the result, in bytes.

    Raises:
        UnsupportedMediaType: The coding is another one, or there are several.
        InvalidRequest: The body is not in this coding, or incomplete.
        BodyTooLarge: The result is larger than the limit.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise UnsupportedMediaType("The Content-Encoding must be one of gzip, deflate and identity. Send one of these.")
    try:
        inflated = _inflate_deflate(body, limit) if coding == "deflate" else _inflate_gzip(body, limit)
    except (OSError, EOFError, zlib.error):
        raise InvalidRequest(
            f"The body is damaged, incomplete or not {coding}. Send it whole, or without Content-Encoding."
        ) from None
    if len(inflated) > limit:
        raise BodyTooLarge(f"The body has more than {limit:,} bytes once it is inflated. Send smaller or fewer images.")
    return inflated


def _inflate_gzip(body: bytes, limit: int) -> bytes:
    if body.count(_GZIP_MEMBER) > _MAX_GZIP_MEMBERS:  # each costs time, also one without content
        raise InvalidRequest(f"The body has more than {_MAX_GZIP_MEMBERS} gzip members. Compress it in one.")
    with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
        return file.read(limit + 1)


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
