import base64
import io
import json
from ipaddress import ip_network

import numpy as np
import pytest
from PIL import Image

from brain_tumor import contract
from tests.brain_tumor import images
from tests.gateway.fake_model_server import CLASSES, FakeModel, classic_metadata, metadata

PNG = {"Content-Type": "image/png"}


def form(*files: bytes) -> dict[str, object]:
    return {"image": [(io.BytesIO(data), f"patient-{number}.png") for number, data in enumerate(files)]}


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_answer_is_complete(client, model_server):
    model_server.model = FakeModel(metadata(out_of_distribution_threshold=-7.0), version=7)
    response = client.post("/predict", data=images.GLIOMA, headers={**PNG, "X-Request-ID": "golden-1"})
    assert response.status_code == 200
    assert response.content_type == "application/json"
    logits = np.array([200, 30, 30, 0]) / 255 * 8
    probabilities = np.exp(logits) / np.exp(logits).sum()
    assert response.get_json() == {
        "class": "glioma",
        "probabilities": {
            name: pytest.approx(value, abs=2e-6) for name, value in zip(CLASSES, probabilities, strict=True)
        },
        "out_of_distribution": {"score": pytest.approx(-np.log(np.exp(logits).sum()), abs=2e-6), "flag": True},
        "model": {"name": "brain-tumor", "version": 7},
        "notice": contract.RESEARCH_NOTICE,
        "request_id": "golden-1",
    }
    assert list(response.get_json()["probabilities"]) == list(CLASSES)  # in the model's order
    assert response.headers["X-Request-ID"] == "golden-1"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"


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
def test_every_way_to_send_a_image(client, send):
    response = client.post("/predict", **send)
    assert response.status_code == 200, response.get_json()
    assert response.get_json()["class"] == "meningioma"


def test_url(make_client, web):
    client = make_client(url_allowed_networks=(ip_network("127.0.0.1/32"),), url_ports=frozenset({web.port}))
    response = client.post("/predict", json={"url": web.serve("/scan.png", images.NOTUMOR)})
    assert response.status_code == 200, response.get_json()
    assert response.get_json()["class"] == "notumor"


@pytest.mark.parametrize("name", images.ODD)
def test_odd_images_are_answered(client, name):
    response = client.post("/predict", data=images.ODD[name], headers=PNG)
    assert response.status_code == 200, response.get_json()


def test_several_images_in_order_in_one_call(client, model_server):
    files = [images.NOTUMOR, images.GLIOMA, images.MENINGIOMA]
    response = client.post("/predict", data=form(*files), headers={"X-Request-ID": "r-1"})
    assert response.status_code == 200
    answers = response.get_json()["predictions"]
    assert [answer["class"] for answer in answers] == ["notumor", "glioma", "meningioma"]
    assert all(answer["request_id"] == "r-1" and answer["notice"] and answer["model"] for answer in answers)
    assert [len(batch) for batch in model_server.batches] == [3]


def test_one_bad_image_among_several_has_its_own_problem(client, model_server):
    files = [images.GLIOMA, b"", images.SVG, images.NOTUMOR, images.BAD["bomb"][0]]
    response = client.post("/predict", data=form(*files))
    assert response.status_code == 200
    first, empty, svg, last, bomb = response.get_json()["predictions"]
    assert (first["class"], last["class"]) == ("glioma", "notumor")
    assert [problem["status"] for problem in (empty, svg, bomb)] == [400, 415, 413]
    assert svg["request_id"] == first["request_id"]
    assert [len(batch) for batch in model_server.batches] == [2]


def test_only_bad_images_ask_no_prediction(client, model_server):
    response = client.post("/predict", data=form(b"no", b"image"))
    assert [problem["status"] for problem in response.get_json()["predictions"]] == [415, 415]
    assert model_server.count(contract.PREDICT_SIGNATURE) == 0


def test_large_images_are_sent_in_several_calls(client, model_server):
    model_server.model = FakeModel(metadata(height=1000, width=1000))
    response = client.post("/predict", data=form(*[images.GLIOMA] * 3))
    assert [answer["class"] for answer in response.get_json()["predictions"]] == ["glioma"] * 3
    assert [len(batch) for batch in model_server.batches] == [1, 1, 1]


def test_explanation_shows_where_the_class_was_seen(client, model_server):
    response = client.post("/predict?explain=true", data=images.plain(200, 30, 30, size=(100, 80)), headers=PNG)
    explanation = response.get_json()["explanation"]
    assert explanation["class"] == "glioma"
    overlay = np.asarray(Image.open(io.BytesIO(base64.b64decode(explanation["png"]))))
    assert overlay.shape == (80, 100, 3)
    assert overlay[0, 0].tolist() != [200, 30, 30]  # the fake model's map speaks for the top left corner
    assert overlay[-1, -1].tolist() == [200, 30, 30]
    assert model_server.calls[-1] == (
        contract.PREDICT_SIGNATURE,
        [contract.PROBABILITIES, contract.OUT_OF_DISTRIBUTION, contract.ACTIVATION_MAPS],
    )


def test_explanations_of_several_images(client):
    response = client.post("/predict?explain=true", data=form(images.GLIOMA, b"bad", images.NOTUMOR))
    first, problem, last = response.get_json()["predictions"]
    assert (first["explanation"]["class"], last["explanation"]["class"]) == ("glioma", "notumor")
    assert "explanation" not in problem


@pytest.mark.parametrize("query", ["", "?explain=false", "?explain=FALSE"])
def test_without_explanation_maps_are_not_computed(client, model_server, query):
    response = client.post(f"/predict{query}", data=images.GLIOMA, headers=PNG)
    assert "explanation" not in response.get_json()
    assert model_server.calls[-1][1] == [contract.PROBABILITIES, contract.OUT_OF_DISTRIBUTION]


def test_a_model_that_cannot_explain(client, model_server):
    model_server.model = FakeModel(metadata(explains=False))
    response = client.post("/predict?explain=true", data=images.GLIOMA, headers=PNG)
    assert response.status_code == 422
    assert "explain" in response.get_json()["detail"]
    assert model_server.count(contract.PREDICT_SIGNATURE) == 0
    assert client.post("/predict", data=images.GLIOMA, headers=PNG).status_code == 200


def test_a_classic_model_with_a_metadata_written_by_hand(client, model_server):
    model_server.model = FakeModel(
        metadata(class_names=("no", "yes"), explains=False), metadata_text=classic_metadata()
    )
    document = client.post("/predict", data=images.MENINGIOMA, headers=PNG).get_json()
    assert document["class"] == "yes"
    assert document["out_of_distribution"]["flag"] is None  # there is no threshold
    assert document["notice"] == contract.RESEARCH_NOTICE


def test_a_phantom_model_says_so(client, model_server):
    model_server.model = FakeModel(metadata(training={"data": "phantom"}))
    document = client.post("/predict", data=images.GLIOMA, headers=PNG).get_json()
    assert contract.PHANTOM_NOTICE in document["notice"]


def test_images_are_prepared_as_the_metadata_says(client, model_server):
    model_server.model = FakeModel(metadata(height=20, width=30, resampling="nearest"))
    image = images.noise((90, 70))
    client.post("/predict", data=images.encode(image), headers=PNG)
    expected = np.asarray(image.resize((30, 20), Image.Resampling.NEAREST))
    np.testing.assert_array_equal(model_server.batches[0][0], expected)


def test_the_metadata_is_asked_for_once(client, model_server):
    for _ in range(5):
        assert client.post("/predict", data=images.GLIOMA, headers=PNG).status_code == 200
    assert model_server.count(contract.DESCRIBE_SIGNATURE) == 1


@pytest.mark.parametrize("given", ["a" * 64, "A.b_c-9"])
def test_a_sane_request_id_is_kept(client, given):
    response = client.post("/predict", data=images.GLIOMA, headers={**PNG, "X-Request-ID": given})
    assert response.headers["X-Request-ID"] == response.get_json()["request_id"] == given


@pytest.mark.parametrize("given", ["", "a" * 65, "a b", "<script>", "ä", "a/b"])
def test_any_other_request_id_is_replaced(client, given):
    response = client.post("/predict", data=images.GLIOMA, headers={**PNG, "X-Request-ID": given})
    made = response.headers["X-Request-ID"]
    assert made == response.get_json()["request_id"]
    assert made != given
    assert len(made) == 16


@pytest.mark.parametrize("size", [65_000, 131_000, 300_000, 496_000])
def test_uploads_of_any_size_are_taken(client, size):
    random = np.random.default_rng(size)
    noise = random.integers(0, 256, (100, 100, 3), dtype=np.uint8)
    image = images.encode(Image.fromarray(noise), "JPEG", quality=95)
    # What follows an image's end is passed over.
    assert client.post("/predict", data=form(image + random.bytes(size - len(image)))).status_code == 200
