import base64
import io

import numpy as np
import pytest
from PIL import Image

from brain_tumor import contract
from tests.brain_tumor import images
from tests.gateway.calls import PNG, check_problem, form


def test_several_images_in_order_in_one_call(client, model_server):
    files = [images.NOTUMOR, images.GLIOMA, images.MENINGIOMA]
    response = client.post("/predict", data=form(*files), headers={"X-Request-ID": "r-1"})
    assert response.status_code == 200
    predictions = response.get_json()["predictions"]
    assert [prediction["class"] for prediction in predictions] == ["notumor", "glioma", "meningioma"]
    for prediction in predictions:
        assert prediction["request_id"] == "r-1"
        assert prediction["notice"]
        assert prediction["model"]
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


@pytest.mark.parametrize("value", ["yes", "1", "", "truee"])
def test_explain_must_be_true_or_false(client, value):
    document = check_problem(client.post(f"/predict?explain={value}", data=images.GLIOMA, headers=PNG), 400)
    assert "explain" in document["detail"]
