"""The parts of a multipart form, as any client writes them.

The body lies in memory, so that parts are found by searching it. werkzeug's parser refuses a whole form where a file
name is not UTF-8, and takes a part for text where it has no file name, as Node's, .NET's and Apache's clients send it.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from werkzeug.http import parse_options_header

from gateway.images.sent import InvalidRequest

# JavaMail and others leave out the quotes where RFC 2045 wants them.
_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^\s;",]+))', re.IGNORECASE)
_DELIMITER_END = rb"(--)?[ \t]*(?:\r?\n|\Z)"
_HEADERS_END = re.compile(rb"\r\n\r\n|\n\n")
_FOLDED = re.compile(rb"\r?\n[ \t]+")
_MAX_HEADER_BYTES = 8 << 10
_INCOMPLETE = "The multipart form is malformed or incomplete. Let your HTTP library build it, and send all of it."


@dataclass(frozen=True)
class Part:
    """One part of a form.

    Attributes:
        name: The field's name; None if the part has none.
        filename: The file's name; None or empty if the part has none.
        media_type: The part's own media type in lower case, or an empty text.
        data: Its content.
    """

    name: str | None
    filename: str | None
    media_type: str
    data: bytes

    @property
    def text(self) -> str:
        """The content as text, without white space around it."""
        return _decode(self.data).strip()


def read_parts(body: bytes, content_type: str) -> Iterator[Part]:
    """Find the parts of a form, in order.

    Args:
        body: The whole body.
        content_type: The header, which names the boundary.

    Raises:
        InvalidRequest: The form is malformed or incomplete.
    """
    found = _BOUNDARY.search(content_type)
    boundary = (found[1] or found[2]).strip() if found else ""
    if not boundary or not boundary.isascii():
        raise InvalidRequest(
            "The Content-Type multipart/form-data names no boundary. Let your HTTP library set this header."
        )
    start = None
    for end, following, last in _delimiters(body, b"--" + boundary.encode()):
        if start is not None:
            yield _read_part(body, start, end)
        start = following
        if last:
            return
    raise InvalidRequest(_INCOMPLETE)


def _delimiters(body: bytes, mark: bytes) -> Iterator[tuple[int, int, bool]]:
    """Each delimiter: where the content before it ends, where the content after it starts, and if it is the last."""
    first = re.match(re.escape(mark) + _DELIMITER_END, body)
    if first:
        yield 0, first.end(), first[1] is not None
    # An expression that begins with a literal is searched thirty times as fast as one that begins with a choice.
    delimiter = re.compile(re.escape(b"\n" + mark) + _DELIMITER_END)
    for found in delimiter.finditer(body, first.end() if first else 0):
        at = found.start()
        yield at - (body[at - 1 : at] == b"\r"), found.end(), found[1] is not None


def _read_part(body: bytes, start: int, end: int) -> Part:
    # The line break of an empty part may be its delimiter's.
    blank = _HEADERS_END.search(body, start, min(end + 2, start + _MAX_HEADER_BYTES))
    if blank is None:
        raise InvalidRequest(_INCOMPLETE)
    headers = {}
    for line in _FOLDED.sub(b" ", body[start : blank.start()]).splitlines():
        name, _, value = _decode(line).partition(":")
        headers[name.strip().lower()] = value.strip()
    _, options = parse_options_header(headers.get("content-disposition"))
    data = body[blank.end() : end]
    if headers.get("content-transfer-encoding", "").lower() == "base64":
        try:
            data = binascii.a2b_base64(data)
        except ValueError:
            raise InvalidRequest("A part of the form is not valid base64. Send the file's bytes as they are.") from None
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return Part(options.get("name"), options.get("filename"), media_type, data)


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
