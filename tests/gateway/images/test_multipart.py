import pytest

from gateway.images.multipart import Part, read_parts
from gateway.images.sent import InvalidRequest

DATA = b"\x89PNG\r\n\x1a\n--x\r\r\n\n--"
TYPE = "multipart/form-data; boundary=x"


def body(*parts: bytes, line_break: bytes = b"\r\n") -> bytes:
    """A form with these parts: each has its headers' lines, an empty line, and its content."""
    joined = b"".join(b"--x" + line_break + part + line_break for part in parts)
    return joined + b"--x--" + line_break


def part(disposition: bytes, headers: bytes = b"", data: bytes = DATA) -> bytes:
    return b"Content-Disposition: form-data" + disposition + b"\r\n" + headers + b"\r\n" + data


# The disposition as it was captured from each client, and the file's name in it.
CLIENTS = {
    "curl, browsers": (b'; name="image"; filename="a.png"', "a.png"),
    "browsers, no file chosen": (b'; name="image"; filename=""', ""),
    "Node form-data and Apache HttpClient, bytes; Go CreateFormField": (b'; name="image"', None),
    ".NET": (b"; name=image; filename=a.png; filename*=utf-8''a.png", "a.png"),
    ".NET without a file name": (b"; name=image", None),
    ".NET, not ASCII": (b"; name=image; filename=\"=?utf-8?B?w6QucG5n?=\"; filename*=utf-8''%C3%A4.png", "ä.png"),
    "Python, Node: UTF-8": ('; name="image"; filename="schädel.png"'.encode(), "schädel.png"),
    "Go, Apache HttpClient: latin-1": ('; name="image"; filename="schädel.png"'.encode("latin-1"), "schädel.png"),
    "Apache HttpClient, strict": (b'; name="image"; filename="?.png"', "?.png"),
    "RFC 2231": (b"; name=\"image\"; filename*=iso-8859-1'de'sch%E4del.png", "schädel.png"),
    "RFC 5987, charset that is not known": (b"; name=\"image\"; filename*=koi8-r''%C1.png", "%C1.png"),
    "curl: quotes": (b'; name="image"; filename="a\\"b.png"', 'a"b.png'),
    "Chrome, Node: quotes": (b'; name="image"; filename="a%22b%0A.png"', 'a"b%0A.png'),
    "semicolons": (b'; filename="a;name=b.png"; name="image"', "a;name=b.png"),
}


@pytest.mark.parametrize(("disposition", "filename"), CLIENTS.values(), ids=CLIENTS)
def test_dispositions(disposition, filename):
    assert list(read_parts(body(part(disposition)), TYPE)) == [Part("image", filename, "", DATA)]


def test_headers_in_any_order_and_case():
    lines = b"content-type:Image/PNG; x=y\r\nX-Odd\r\nCONTENT-DISPOSITION : form-data;\r\n\tname=image"
    assert list(read_parts(body(lines + b"\r\n\r\n" + DATA), TYPE)) == [Part("image", None, "image/png", DATA)]


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="x"',
        "multipart/form-data;boundary=x;charset=ISO-8859-1",
        "Multipart/Form-Data; charset=utf-8; Boundary = x",
    ],
)
def test_boundaries(content_type):
    assert [part.data for part in read_parts(body(part(b"; name=image")), content_type)] == [DATA]


@pytest.mark.parametrize("boundary", ["----=_Part_1_2.3", "===============1==", "'()+_,-./:=?", "*.*"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_boundaries_with_any_characters(boundary, quote):
    content_type = f"multipart/form-data; boundary={quote}{boundary}{quote}"
    if not quote:
        boundary = boundary.partition(",")[0]
    form = body(part(b"; name=image")).replace(b"--x\r\nC", f"--{boundary}\r\nC".encode())
    form = form.removesuffix(b"--x--\r\n") + f"--{boundary}--".encode()
    assert [part.data for part in read_parts(form, content_type)] == [DATA]


def test_several_parts_with_any_content():
    contents = [b"", b"\r\n", b"a\r", b"\n", b" --x", b"\r\n--", b"\r\n--xy\r\n", b"\r\n --x\r\n", DATA]
    parts = list(read_parts(body(*(part(b"; name=a", data=data) for data in contents)), TYPE))
    assert [part.data for part in parts] == contents


def test_text_around_the_parts_and_odd_delimiters():
    form = b"preamble\r\n" + body(part(b"; name=a"), part(b"; name=b")).replace(b"--x\r\n", b"--x \t\r\n")
    for end in (b"", b"\r\n", b"epilogue --x\r\n--x\r\n"):
        assert [part.name for part in read_parts(form.rstrip() + b"\r\n" * bool(end) + end, TYPE)] == ["a", "b"]


def test_lines_that_end_in_lf_alone():
    lines = b'Content-Disposition: form-data; name="image"\nContent-Type: image/png\n\n' + DATA
    assert list(read_parts(body(lines, line_break=b"\n"), TYPE)) == [Part("image", None, "image/png", DATA)]


def test_transfer_encoding():
    lines = part(b"; name=image", b"Content-Transfer-Encoding: %b\r\n", b"%b")
    for coding, data in ((b"binary", DATA), (b"8bit", DATA), (b"BASE64", b"iVBORw0K\r\nGgotLXgN\r\nDQoKLS0=")):
        assert [part.data for part in read_parts(body(lines % (coding, data)), TYPE)] == [DATA]
    with pytest.raises(InvalidRequest, match="base64"):
        list(read_parts(body(lines % (b"base64", b"abc")), TYPE))


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"garbage",
        b"--x",
        b"--x\r\n",
        b"--x\r\n\r\n--x--\r\n",
        b"--x\r\nContent-Disposition: form-data; name=a\r\n--x--",
        body(part(b"; name=a"))[:-6],
        body(part(b"; name=a")).replace(b"--x", b"--y"),
        body(part(b"; name=a", b"X: " + b"y" * 9000 + b"\r\n")),
    ],
)
def test_malformed_forms(form):
    with pytest.raises(InvalidRequest, match="malformed or incomplete"):
        list(read_parts(form, TYPE))


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=é",
    ],
)
def test_no_boundary(kind):
    with pytest.raises(InvalidRequest, match="boundary"):
        list(read_parts(body(part(b"; name=a")), kind))
