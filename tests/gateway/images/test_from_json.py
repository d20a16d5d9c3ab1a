import base64
import json

import pytest

from gateway.images.from_json import from_json
from gateway.images.sent import InvalidRequest, Sent, TooManyImages, Url

DATA = b"\xfb\xff image"
B64 = base64.b64encode(DATA).decode()
URL = "https://a.example/1.png?a=b,c"


def read(document: object) -> Sent:
    return from_json(json.dumps(document).encode(), max_images=4)


@pytest.mark.parametrize(
    ("document", "item"),
    [
        ({"image": B64}, DATA),
        ({"image": f"data:image/png;base64,{B64}"}, DATA),
        ({"image": {"b64": B64}}, DATA),
        ({"b64": B64.rstrip("=").replace("+", "-").replace("/", "_")}, DATA),
        ({"url": URL}, Url(URL)),
        ({"url": f"data:;base64,{B64}"}, DATA),
        ({"url": f" {URL}\n"}, Url(URL)),
        ({"image": {"url": URL}}, Url(URL)),
        ({"image": URL}, Url(URL)),
        ({"inputs": {"image": {"b64": B64}}}, DATA),
    ],
)
def test_one_image(document, item):
    assert read(document) == Sent([item], listed=False)


@pytest.mark.parametrize(
    ("document", "items"),
    [
        ({"images": [B64, URL, {"b64": B64}, {"url": URL}]}, [DATA, Url(URL), DATA, Url(URL)]),
        ({"urls": [URL, f"data:,{B64}"]}, [Url(URL), B64.encode()]),
        ({"image": [B64]}, [DATA]),
        ({"url": [URL, URL]}, [Url(URL), Url(URL)]),
        # As clients of TensorFlow Serving's REST API write it.
        ({"instances": [{"b64": B64}]}, [DATA]),
        (
            {
                "signature_name": "serving_default",
                "instances": [{"image": {"b64": B64}}, {"image_bytes": {"b64": B64}}],
            },
            [DATA] * 2,
        ),
        ({"instances": [B64, B64]}, [DATA] * 2),
        ({"inputs": [{"b64": B64}]}, [DATA]),
    ],
)
def test_a_list_is_answered_by_a_list(document, items):
    assert read(document) == Sent(items, listed=True)


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"explain": True, "page": 3}, {"explain": "True", "page": "3"}),
        ({"explain": "no", "page": "2"}, {"explain": "no", "page": "2"}),
        ({"explain": None}, {}),
    ],
)
def test_options(options, texts):
    assert read({"image": B64, **options}).options == texts


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-be"])
def test_encodings(encoding):
    assert from_json(json.dumps({"url": "http://ä"}).encode(encoding), 1).items == [Url("http://ä")]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "must be a text"),
        ("", "must be a text"),
        (" \n", "must be a text"),
        (5, "must be a text"),
        (True, "must be a text"),
        ([B64], "must be a text"),
        ({}, "must be a text"),
        ({"b64": B64, "key": 1}, "must be a text"),
        ({"a": {"b": {"b64": B64}}}, "must be a text"),
        ("aGk?", "not valid base64"),
        ("data:image/png;base64", "incomplete data URI"),
    ],
)
def test_a_bad_image_is_only_its_own_problem(value, message):
    good, bad = read({"images": [B64, value]}).items
    assert good == DATA
    assert isinstance(bad, InvalidRequest)
    assert '"images"[1] ' in str(bad)
    assert message in str(bad)
    if not isinstance(value, list):
        (alone,) = read({"image": value}).items
        assert str(alone).startswith('"image" ')


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "must be an object"),
        ([], "must be an object"),
        ("text", "must be an object"),
        ({}, "exactly one of the keys"),
        ({"explain": True}, "exactly one of the keys"),
        ({"image": B64, "url": URL}, "exactly one of the keys"),
        ({"image": B64, "model": "a"}, "exactly one of the keys"),
        ({"images": []}, "empty list"),
        ({"image": B64, "explain": [1]}, '"explain" must be'),
        ({"image": B64, "page": 1.5}, '"page" must be'),
        ({"instances": [[[0, 0, 0]] * 5000]}, "not pixels"),
    ],
)
def test_bad_documents(document, message):
    with pytest.raises(InvalidRequest, match=message):
        read(document)


@pytest.mark.parametrize(
    "body",
    ["", "{", "[" * 4000, '{"image": [' + "[]," * 4000 + "0]}", b"\xff\xfe\x00\x01", b"\x80", "é".encode("latin-1")],
)
def test_what_is_no_json(body):
    with pytest.raises(InvalidRequest):
        from_json(body if isinstance(body, bytes) else body.encode(), 4)


def test_too_many_images():
    with pytest.raises(TooManyImages, match="4 images"):
        read({"urls": [URL] * 5})
