import numpy as np
import pytest

from brain_tumor import contract
from tests.brain_tumor import images
from tests.gateway.calls import PNG
from tests.gateway.fake_model_server import CLASSES, FakeModel, classic_metadata, metadata


def test_response_is_complete(client, model_server):
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


def test_a_phantom_model_says_so(client, model_server):
    model_server.model = FakeModel(metadata(training={"data": "phantom"}))
    document = client.post("/predict", data=images.GLIOMA, headers=PNG).get_json()
    assert contract.PHANTOM_NOTICE in document["notice"]
