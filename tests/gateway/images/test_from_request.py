import base64
import io
import json
from ipaddress import ip_network

import numpy as np
import pytest
from PIL import Image

from tests.brain_tumor import images
from tests.gateway.calls import PNG, check_problem, form


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "send",
    [
        {"json": {"image": as_base64(images.MENINGIOMA)}},
        {"json": {"image": "data:image/png;base64," + as_base64(images.MENINGIOMA)}},
        {"json": {"image": base64.encodebytes(images.MENINGIOMA).decode()}},  # with line breaks
        {"data": json.dumps({"image": as_base64(images.MENINGIOMA)}), "content_type": "application/x+json"},
        {"data": form(images.MENINGIOMA)},
        {"data": {**form(images.MENINGIOMA), "comment": "other fields do not matter"}},
        {"data": images.MENINGIOMA, "content_type": "image/png"},
        {"data": images.MENINGIOMA, "content_type": "image/jpeg"},  # the content counts
        {"data": images.MENINGIOMA, "content_type": "application/octet-stream"},
    ],
    ids=["base64", "data-uri", "base64-lines", "json-suffix", "form", "form-fields", "raw", "raw-wrong", "octets"],
)
def test_every_way_to_send_an_image(client, send):
    response = client.post("/predict", **send)
    assert response.status_code == 200, response.get_json()
    assert response.get_json()["class"] == "meningioma"


def test_url(make_client, web):
    client = make_client(url_allowed_networks=(ip_network("127.0.0.1/32"),), url_ports=frozenset({web.port}))
    response = client.post("/predict", json={"url": web.serve("/scan.png", images.NOTUMOR)})
    assert response.status_code == 200, response.get_json()
    assert response.get_json()["class"] == "notumor"


@pytest.mark.parametrize("size", [65_000, 131_000, 300_000, 496_000])
def test_uploads_of_any_size_are_taken(client, size):
    random = np.random.default_rng(size)
    noise = random.integers(0, 256, (100, 100, 3), dtype=np.uint8)
    image = images.encode(Image.fromarray(noise), "JPEG", quality=95)
    # What follows an image's end is passed over.
    assert client.post("/predict", data=form(image + random.bytes(size - len(image)))).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "null",
        "[]",
        '"text"',
        "{}",
        '{"image": "aGk=", "url": "http://example.com"}',
        '{"image": "aGk=", "explain": true}',
        '{"images": ["aGk="]}',
        '{"image": null}',
        '{"image": ""}',
        '{"image": ["aGk="]}',
        '{"image": 5}',
        '{"url": {"a": 1}}',
        '{"image": "not base64!"}',
        '{"image": "aGk"}',
        '{"image": "é"}',
        '{"image": "data:image/png,plain"}',
        '{"image": "data:image/png;base64"}',
        "[" * 100_000,
        '{"image": [' + "[]," * 100_000 + "0]}",
        '{"image": "\\ud800"}',
        b"\xff\xfe\x00\x01",
        b"\x80",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_bad_json(client, body):
    check_problem(client.post("/predict", data=body, content_type="application/json"), 400)


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/pdf", "application/dicom", "application/x-www-form-urlencoded", "video/mp4", "", "x"],
)
def test_unknown_media_type(client, kind):
    document = check_problem(client.post("/predict", data=images.GLIOMA, content_type=kind), 415)
    assert "multipart" in document["detail"]


def test_form_without_the_image(client):
    document = check_problem(client.post("/predict", data={"file": (io.BytesIO(images.GLIOMA), "a.png")}), 400)
    assert '"image"' in document["detail"]
    check_problem(client.post("/predict", data={"image": "text"}, content_type="multipart/form-data"), 400)


@pytest.mark.parametrize(
    "body", [b"", b"garbage", b"--x\r\nContent-Disposition: form-data; name=image; filename=a\r\n\r\nhalf"]
)
def test_malformed_form(client, body):
    check_problem(client.post("/predict", data=body, content_type="multipart/form-data; boundary=x"), 400)
    check_problem(client.post("/predict", data=body, content_type="multipart/form-data"), 400)


def test_too_many_images(make_client):
    client = make_client(max_images=3)

    def send(count: int):
        files = [(io.BytesIO(images.GLIOMA), f"{number}.png") for number in range(count)]
        return client.post("/predict", data={"image": files})

    assert send(3).status_code == 200
    assert "3 images" in check_problem(send(4), 413)["detail"]
    check_problem(send(50), 413)  # more parts than the parser takes


def test_too_many_bytes(make_client, model_server):
    client = make_client(max_body=2000)
    large = bytes(2001)
    for send in (
        {"data": large, "content_type": "image/png"},
        {"data": json.dumps({"image": "A" * 2000}), "content_type": "application/json"},
        {"data": {"image": (io.BytesIO(large), "a.png")}},
    ):
        check_problem(client.post("/predict", **send), 413)
    assert model_server.calls == []
    assert client.post("/predict", data=images.GLIOMA, headers=PNG).status_code == 200


def test_too_many_bytes_of_form_fields(client):
    check_problem(client.post("/predict", data={"image": "A" * 400_000}, content_type="multipart/form-data"), 413)
