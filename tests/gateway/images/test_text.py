import base64

import pytest

from gateway.images.sent import InvalidRequest, Url
from gateway.images.text import from_text, is_text
from tests.brain_tumor import images

DATA = bytes(range(256))
BASE64 = base64.b64encode(DATA).decode()


@pytest.mark.parametrize(
    "text",
    [
        BASE64,
        BASE64.rstrip("="),
        base64.urlsafe_b64encode(DATA).decode(),
        base64.urlsafe_b64encode(DATA).decode().rstrip("="),
        base64.encodebytes(DATA).decode(),
        base64.encodebytes(DATA).decode().replace("\n", "\r\n"),
        f"  {BASE64}\n",
        f"data:image/png;base64,{BASE64}",
        f"DATA:image/png;charset=utf-8;BASE64,{BASE64}",
        f"data:;base64,{BASE64.rstrip('=')}",
        "data:image/png;base64," + BASE64.replace("+", "%2B").replace("/", "%2f").replace("=", "%3D"),
        "data:image/png," + "".join(f"%{byte:02x}" for byte in DATA),
        "data:," + "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"%{byte:02X}" for byte in DATA),
    ],
)
@pytest.mark.parametrize("is_url", [False, True])
def test_every_way_to_write_bytes(text, is_url):
    if is_url and not text.lower().startswith("data:"):
        assert from_text(text, "x", is_url=True) == Url(text.strip())
    else:
        assert from_text(text, "x", is_url=is_url) == DATA


@pytest.mark.parametrize("length", range(8))
def test_any_length_without_padding(length):
    data = DATA[:length]
    assert from_text(base64.b64encode(data).decode().rstrip("="), "x") == data


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "aaaaa",
        "aGk=aGk=",
        "aG=k",
        "a===",
        "aGk?",
        "not base64!",
        "é",
        "\ud800",
        "file:///a",
        "data:;base64,!",
    ],
)
def test_what_is_no_base64(text):
    error = from_text(text, "The text")
    assert isinstance(error, InvalidRequest)
    assert "The text is not valid base64" in str(error)


@pytest.mark.parametrize("text", ["data:", "data:image/png;base64"])
def test_an_incomplete_data_uri(text):
    assert "incomplete" in str(from_text(text, "x"))


def test_a_data_uri_that_is_no_unicode():
    assert from_text("data:,a%41\ud800", "x") == b"aA?"


@pytest.mark.parametrize("text", ["http://a.example/", "HTTPS://a.example/"])
def test_a_url_where_base64_is_asked_for(text):
    assert from_text(text, "x") == Url(text)


def test_no_image_begins_like_text():
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "JPEG2000", "AVIF"):
        assert not is_text(images.encode(images.noise(), kind)), kind
    assert not is_text(bytes(128) + b"DICM")
    for text in (b"url=https://a.example&explain=1", b'{"url": "x"}', b"<svg xmlns=''>", b"\t text\r\n"):
        assert is_text(text), text
