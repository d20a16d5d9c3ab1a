import io
import json

import pytest

from brain_tumor import contract, image
from tests.brain_tumor import images

STATUS = {
    image.UnknownImageType: 415,
    image.BrokenImage: 400,
    image.UnusableImage: 422,
    image.ImageTooLarge: 413,
}
PNG = {"Content-Type": "image/png"}


def check_problem(response, status: int) -> dict[str, object]:
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == "application/problem+json"
    document = response.get_json(force=True)
    assert set(document) == {"type", "title", "status", "detail", "request_id"}
    assert document["type"] == "about:blank"
    assert document["status"] == status
    assert document["title"]
    assert document["request_id"] == response.headers["X-Request-ID"]
    assert document["detail"].endswith((".", ")", '"url".', "-data."))
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    return document


@pytest.mark.parametrize("name", images.BAD)
def test_bad_image(client, model_server, name):
    data, kind = images.BAD[name]
    check_problem(client.post("/predict", data=data, headers=PNG), 400 if name == "empty" else STATUS[kind])
    assert model_server.count(contract.PREDICT_SIGNATURE) == 0


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


def test_too_many_pixels(make_client):
    client = make_client(max_pixels=1024)
    check_problem(client.post("/predict", data=images.plain(size=(33, 32)), headers=PNG), 413)
    assert client.post("/predict", data=images.plain(size=(32, 32)), headers=PNG).status_code == 200


@pytest.mark.parametrize("value", ["yes", "1", "", "truee"])
def test_explain_must_be_true_or_false(client, value):
    document = check_problem(client.post(f"/predict?explain={value}", data=images.GLIOMA, headers=PNG), 400)
    assert "explain" in document["detail"]


@pytest.mark.parametrize("path", ["/nothing", "/predict/", "/livez/x", "/static/app.py", "/%2e%2e/etc/passwd"])
def test_unknown_path(client, path):
    document = check_problem(client.get(path), 404)
    assert path not in document["detail"]


@pytest.mark.parametrize(("method", "path"), [("get", "/predict"), ("delete", "/predict"), ("post", "/livez")])
def test_wrong_method(client, method, path):
    response = getattr(client, method)(path)
    check_problem(response, 405)
    assert "OPTIONS" in response.headers["Allow"]


def test_options_and_head(client):
    response = client.options("/predict")
    assert response.status_code == 200
    assert set(response.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
    head = client.head("/livez")
    assert (head.status_code, head.data) == (200, b"")
