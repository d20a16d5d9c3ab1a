import base64
import io

import numpy as np
import pytest
from PIL import Image

from brain_tumor import contract
from tests.brain_tumor import images
from tests.gateway.calls import PNG
from tests.gateway.fake_model_server import CLASSES, FakeModel, classic_metadata, metadata


def test_response_is_complete(client, model_server):
    model_server.model = FakeModel(metadata(out_of_distribution_threshold=-7.0, precision="int8"), version=7)
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
        "model": {"name": "brain-tumor", "version": 7, "precision": "int8"},
        "notice": contract.RESEARCH_NOTICE,
        "request_id": "golden-1",
        "warnings": [],
    }
    assert list(response.get_json()["probabilities"]) == list(CLASSES)  # in the model's order
    assert response.headers["X-Request-ID"] == "golden-1"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"


def test_a_classic_model_with_metadata_written_by_hand(client, model_server):
    model_server.model = FakeModel(
        metadata(class_names=("no", "yes"), explains=False), metadata_text=classic_metadata()
    )
    document = client.post("/predict", data=images.MENINGIOMA, headers=PNG).get_json()
    assert document["class"] == "yes"
    assert document["out_of_distribution"]["flag"] is None  # there is no threshold
    assert document["notice"] == contract.RESEARCH_NOTICE


def test_a_page_of_several(client):
    stack = images.stack(10, 200, 90)
    document = client.post("/predict?page=2", data=stack, headers={"Content-Type": "image/tiff"}).get_json()
    assert (document["page"], document["pages"]) == (2, 3)


def test_a_phantom_model_says_so(client, model_server):
    model_server.model = FakeModel(metadata(training={"data": "phantom"}))
    document = client.post("/predict", data=images.GLIOMA, headers=PNG).get_json()
    assert contract.PHANTOM_NOTICE in document["notice"]


def test_the_view_is_the_image_below_the_overlay(client):
    large = images.encode(Image.new("RGB", (1200, 600), (200, 30, 30)))
    document = client.post("/predict?view=true&explain=true", data=large, headers=PNG).get_json()
    view, overlay = (
        Image.open(io.BytesIO(base64.b64decode(document[part]["png"]))) for part in ("view", "explanation")
    )
    assert view.size == overlay.size == (512, 256)
    assert view.getpixel((511, 255)) == (200, 30, 30)
    assert overlay.getpixel((0, 0)) != (200, 30, 30)


def test_a_view_needs_no_activation_maps(client, model_server):
    model_server.model = FakeModel(metadata(explains=False))
    document = client.post("/predict?view=true", data=images.GLIOMA, headers=PNG).get_json()
    assert "explanation" not in document
    assert Image.open(io.BytesIO(base64.b64decode(document["view"]["png"]))).format == "PNG"
    assert "view" not in client.post("/predict", data=images.GLIOMA, headers=PNG).get_json()
