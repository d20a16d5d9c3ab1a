import base64
import gzip
import io
import json
import zlib
from ipaddress import ip_network

import numpy as np
import pytest
from PIL import Image

from tests.brain_tumor import images
from tests.gateway.calls import PNG, check_problem, form

IMAGE = images.MENINGIOMA
BASE64 = base64.b64encode(IMAGE).decode()
URLENCODED = "application/x-www-form-urlencoded"
OCTETS = "application/octet-stream"


@pytest.mark.parametrize(
    "send",
    [
        {"json": {"image": BASE64}},
        {"json": {"url": "data:image/png;base64," + BASE64}},
        {"data": json.dumps({"image": BASE64}), "content_type": "application/x+json"},
        {"data": form(IMAGE)},
        {"data": {**form(IMAGE), "comment": "other fields do not matter"}},
        {"data": IMAGE, "content_type": "image/png"},
        {"data": IMAGE, "content_type": "image/jpeg"},  # the content counts
        {"data": IMAGE, "content_type": OCTETS},
        {"data": IMAGE, "content_type": "binary/octet-stream"},  # S3
        {"data": IMAGE, "content_type": URLENCODED},  # curl --data-binary
        {"data": IMAGE, "content_type": "text/plain;charset=UTF-8"},
        {"data": IMAGE, "content_type": ""},
        {"data": IMAGE},
        {"data": json.dumps({"image": BASE64}), "content_type": URLENCODED},  # curl --data
        {"data": json.dumps({"image": BASE64}), "content_type": "text/plain;charset=UTF-8"},  # fetch of browsers
        {"data": {"image": BASE64}, "content_type": URLENCODED},
    ],
    ids=lambda send: f"{send.get('content_type')} {str(send.get('data'))[:8]!r}",
)
def test_every_way_to_send_an_image(client, send):
    response = client.post("/predict", **send)
    assert response.status_code == 200, response.get_json()
    assert response.get_json()["class"] == "meningioma"


def raw_form(*parts: bytes) -> dict[str, object]:
    body = b"".join(b"--x\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--x--\r\n"
    return {"data": body, "content_type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize(
    "send",
    [
        raw_form(b'name="image"\r\nContent-Type: application/octet-stream\r\n\r\n' + IMAGE),  # Node, Apache HttpClient
        raw_form(b"name=image\r\n\r\n" + IMAGE),  # .NET
        raw_form('name="file"; filename="schädel.png"\r\n\r\n'.encode("latin-1") + IMAGE),
    ],
)
def test_forms_that_odd_clients_send(client, send):
    response = client.post("/predict", **send)
    assert response.status_code == 200, response.get_json()
    assert response.get_json()["class"] == "meningioma"


@pytest.mark.parametrize(
    ("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
@pytest.mark.parametrize(
    "send",
    [
        {"data": IMAGE, "content_type": "image/png"},
        {"data": json.dumps({"image": BASE64}).encode(), "content_type": "application/json"},
        raw_form(b"name=image\r\n\r\n" + IMAGE),
    ],
)
def test_compressed_bodies(client, coding, compress, send):
    headers = {"Content-Encoding": coding}
    response = client.post("/predict", **{**send, "data": compress(send["data"])}, headers=headers)
    assert response.status_code == 200, response.get_json()


def test_compressed_bodies_that_are_not_taken(make_client):
    client = make_client(max_body=20_000)
    headers = {"Content-Encoding": "gzip", **PNG}
    bomb = gzip.compress(bytes(10_000_000))
    assert "20,000 bytes" in check_problem(client.post("/predict", data=bomb, headers=headers), 413)["detail"]
    check_problem(client.post("/predict", data=IMAGE, headers=headers), 400)
    check_problem(client.post("/predict", data=gzip.compress(b""), headers=headers), 400)
    document = check_problem(client.post("/predict", data=IMAGE, headers={"Content-Encoding": "br", **PNG}), 415)
    assert "gzip, deflate" in document["detail"]


def test_url(make_client, web):
    client = make_client(url_allowed_networks=(ip_network("127.0.0.1/32"),), url_ports=frozenset({web.port}))
    url = web.serve("/scan.png", images.NOTUMOR)
    for send in ({"json": {"url": url}}, {"data": {"url": url}}, raw_form(b"name=url\r\n\r\n" + url.encode())):
        response = client.post("/predict", **send)
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
    "kind", ["application/pdf", "application/zip", "video/mp4", "multipart/mixed; boundary=x", "text/html", "x"]
)
def test_unknown_media_type(client, kind):
    document = check_problem(client.post("/predict", data=images.GLIOMA, content_type=kind), 415)
    assert "multipart" in document["detail"]


@pytest.mark.parametrize("kind", ["", "text/plain", OCTETS])
def test_text_that_is_no_image(client, kind):
    check_problem(client.post("/predict", data="scan.png", content_type=kind), 415)


@pytest.mark.parametrize("kind", ["", "image/png", "application/json", URLENCODED])
def test_no_body(client, kind):
    assert "no body" in check_problem(client.post("/predict", content_type=kind), 400)["detail"]


def test_form_without_the_image(client):
    document = check_problem(client.post("/predict", data={"scan": (io.BytesIO(images.GLIOMA), "a.png")}), 400)
    assert '"image"' in document["detail"]
    check_problem(client.post("/predict", data={"image": "text"}, content_type="multipart/form-data"), 400)


@pytest.mark.parametrize(
    "body", [b"garbage", b"--x\r\nContent-Disposition: form-data; name=image; filename=a\r\n\r\nhalf"]
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
    assert "3 images" in check_problem(client.post("/predict", json={"images": [BASE64] * 4}), 413)["detail"]
    many = {"image": (io.BytesIO(images.GLIOMA), "a.png"), **{str(number): "" for number in range(20)}}
    assert "11 parts" in check_problem(client.post("/predict", data=many), 413)["detail"]


def test_too_many_bytes_of_form_fields(client):
    for kind in ("multipart/form-data", URLENCODED):
        check_problem(client.post("/predict", data={"comment": "A" * 400_000}, content_type=kind), 413)
