"""Inference: every form of input gives the same predictions, in every form of output."""

import gzip
import json

import grpc
import numpy as np
import pytest

from brain_tumor import contract
from tests.brain_tumor import images
from tests.gateway.calls import PNG, check_problem
from tests.gateway.fake_model_server import FakeModel, abort_with, metadata, wait_for
from tests.gateway.http.open_inference.bodies import (
    BLUE,
    GREEN,
    INFER,
    LENGTH,
    RED,
    base64_of,
    binary,
    check_error,
    files,
    infer,
    infer_binary,
    of_pixels,
    outputs,
    pixels,
    prefixed,
    tensor,
)

THREE = pixels(RED, GREEN, BLUE)
NAMES = ["glioma", "meningioma", "notumor"]


def test_files_as_json(client):
    response = infer(client, files(images.GLIOMA, images.MENINGIOMA), id="id-7")
    document = response.get_json()
    assert (document["model_name"], document["model_version"], document["id"]) == ("brain-tumor", "1", "id-7")
    assert json.loads(document["parameters"]["class_names"]) == ["glioma", "meningioma", "notumor", "pituitary"]
    assert document["parameters"]["notice"].startswith("For research only.")
    assert outputs(response)["class"] == NAMES[:2]
    assert [output["datatype"] for output in document["outputs"]] == ["BYTES", "FP32", "FP32"]
    assert response.headers["Cache-Control"] == "no-store"


def test_predictions_are_those_of_predict(client):
    expected = client.post("/predict", data=images.GLIOMA, headers=PNG).get_json()
    found = outputs(infer(client, files(images.GLIOMA)))
    assert found["probabilities"][0] == pytest.approx(list(expected["probabilities"].values()), abs=1e-6)
    assert found["out_of_distribution"] == pytest.approx([expected["out_of_distribution"]["score"]], abs=1e-6)


@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_shapes_of_files(client, shape):
    texts = [base64_of(images.GLIOMA), base64_of(images.NOTUMOR)]
    nested = [[text] for text in texts] if len(shape) == 2 else texts
    for data in (texts, nested):
        assert outputs(infer(client, tensor(data, shape)))["class"] == ["glioma", "notumor"]
    behind = prefixed(images.GLIOMA, images.NOTUMOR)
    assert outputs(infer_binary(client, binary(behind, shape), behind))["class"] == ["glioma", "notumor"]


def test_binary_elements_may_hold_base64_too(client):
    behind = prefixed(base64_of(images.GLIOMA).encode())
    assert outputs(infer_binary(client, binary(behind, [1]), behind))["class"] == ["glioma"]


@pytest.mark.parametrize("nested", [True, False])
def test_pixels_as_json(client, model_server, nested):
    response = infer(client, of_pixels(THREE, (THREE if nested else THREE.ravel()).tolist()))
    assert outputs(response)["class"] == NAMES
    np.testing.assert_array_equal(model_server.batches[0], THREE)


def test_pixels_as_binary_data(client, model_server):
    array = np.random.default_rng(1).integers(0, 256, THREE.shape, dtype=np.uint8)
    behind = array.tobytes()
    response = infer_binary(client, binary(behind, list(array.shape), "images", "UINT8"), behind)
    assert outputs(response)["class"]
    np.testing.assert_array_equal(model_server.batches[0], array)


def test_compressed_body(client):
    behind = prefixed(images.GLIOMA)
    text = json.dumps({"inputs": [binary(behind, [1])]}).encode()
    headers = {LENGTH: str(len(text)), "Content-Encoding": "gzip"}
    assert outputs(client.post(INFER, data=gzip.compress(text + behind), headers=headers))["class"] == ["glioma"]


def test_outputs_are_chosen_one_by_one_and_each_in_its_form(client):
    whole = outputs(infer(client, files(images.GLIOMA)))
    chosen = [{"name": "probabilities", "parameters": {"binary_data": True}}, {"name": "class"}]
    response = infer(client, files(images.GLIOMA), outputs=chosen)
    assert list(outputs(response)) == ["probabilities", "class"]
    assert outputs(response)["probabilities"] == whole["probabilities"]
    text = json.loads(response.get_data()[: int(response.headers[LENGTH])])
    assert text["outputs"][1]["data"] == ["glioma"]
    everything = infer(client, files(images.GLIOMA), parameters={"binary_data_output": True})
    assert outputs(everything) == whole
    but_one = [{"name": "class", "parameters": {"binary_data": False}}, {"name": "out_of_distribution"}]
    mixed = infer(client, files(images.GLIOMA), outputs=but_one, parameters={"binary_data_output": True})
    assert outputs(mixed) == {name: whole[name] for name in ("class", "out_of_distribution")}
    assert b'"data":["glioma"]' in mixed.get_data()


def test_a_model_with_a_threshold_flags_images(client, model_server):
    plain = metadata()
    assert "out_of_distribution_flag" not in outputs(infer(client, files(images.GLIOMA)))
    score = outputs(infer(client, files(images.GLIOMA)))["out_of_distribution"][0]
    for above, flag in ((-1e-3, True), (1e-3, False)):
        model_server.model = FakeModel(
            metadata(out_of_distribution_threshold=score + above), model_server.model.version + 1
        )
        client.get("/v2/models/brain-tumor")  # whoever asks what the model is gets the newest for the others too
        found = outputs(infer(client, files(images.GLIOMA), parameters={"binary_data_output": True}))
        assert found["out_of_distribution_flag"] == [flag]
    model_server.model = FakeModel(plain, 9)
    sent = {"outputs": [{"name": "out_of_distribution_flag"}]}
    assert "out_of_distribution" in check_error(infer(client, files(images.GLIOMA), **sent), 400)


def test_one_broken_image_fails_the_request_and_is_named(client, model_server):
    response = infer(client, files(images.GLIOMA, images.truncated("PNG"), images.NOTUMOR))
    assert check_error(response, 400).startswith('"image"[1]: ')
    assert check_error(infer(client, files(images.SVG)), 415).startswith('"image"[0]: ')
    assert check_error(infer(client, tensor(["!"], [1])), 400).startswith('"image"[0] ')
    assert check_error(infer(client, tensor([""], [1])), 400).startswith('"image"[0]: ')
    assert "URL" in check_error(infer(client, tensor(["http://127.0.0.1/a.png"], [1])), 400)


def test_limits_are_those_of_predict(make_client):
    client = make_client(max_images=2, max_pixels=1024, max_body=100_000)
    assert "2 images" in check_error(infer(client, files(*[images.GLIOMA] * 3)), 413)
    assert "2 images" in check_error(infer(client, of_pixels(THREE, THREE.tolist())), 413)
    check_error(infer(client, files(images.plain(size=(33, 32)))), 413)
    bomb = gzip.compress(bytes(200_000))
    check_error(client.post(INFER, data=bomb, headers={"Content-Encoding": "gzip"}), 413)


def test_pixels_of_another_size(client):
    check = check_error(infer(client, tensor([0] * 12, [1, 2, 2, 3], "images", "UINT8")), 400)
    assert "[n, 24, 32, 3]" in check


def test_a_new_model_of_another_size_takes_pixels_of_its_own_size_at_once(client, model_server):
    assert outputs(infer(client, of_pixels(THREE, THREE.tolist())))["class"] == NAMES
    model_server.model = FakeModel(metadata(height=24, width=16), 2)
    assert "height 24 and width 16" in check_error(infer(client, of_pixels(THREE, THREE.tolist())), 400)
    narrow = np.ascontiguousarray(THREE[:, :, :16])
    assert outputs(infer(client, of_pixels(narrow, narrow.tolist())))["class"] == NAMES


def test_who_knows_the_new_model_first_is_believed(make_client, model_server):
    by_size, by_version = make_client(), make_client()
    for client in (by_size, by_version):
        client.post(INFER)  # it asks what the model is
    model_server.model = FakeModel(metadata(height=24, width=16), 2)
    narrow = np.ascontiguousarray(THREE[:, :, :16])
    # What a gateway knows is fresh for a second, within which no client can well know better.
    wait_for(lambda: infer(by_size, of_pixels(narrow, narrow.tolist())).status_code == 200)
    of_version = "/v2/models/brain-tumor/versions/2/infer"
    wait_for(lambda: infer(by_version, files(images.GLIOMA), of_version).status_code == 200)


def test_a_model_that_is_away_or_wrong(client, model_server):
    model_server.fault = abort_with(grpc.StatusCode.UNAVAILABLE)
    response = infer(client, files(images.GLIOMA))
    assert "10.1.2.3" not in check_error(response, 503)
    assert int(response.headers["Retry-After"]) > 0
    model_server.fault = abort_with(grpc.StatusCode.INTERNAL, contract.PREDICT_SIGNATURE)
    assert "request id" in check_error(infer(client, files(images.GLIOMA)), 502)


def test_several_versions_within_one_request_are_refused(make_client, model_server):
    # Images this large go in several calls.
    model_server.model = FakeModel(metadata(height=1024, width=1200))
    other = FakeModel(metadata(height=1024, width=1200), 2)
    model_server.older = [other]
    client = make_client(deadline=60.0)

    def change(signature: str, context: grpc.ServicerContext) -> None:
        if signature == contract.PREDICT_SIGNATURE:
            model_server.model, model_server.older = other, [model_server.model]

    model_server.fault = change
    check_error(infer(client, files(images.GLIOMA, images.GLIOMA)), 503)


def test_routes_count_by_rule_and_no_name_of_a_client_is_kept(client, caplog):
    caplog.set_level("DEBUG")
    infer(client, files(images.GLIOMA), id="secret-id")
    client.get("/v2/models/secret-model")
    client.get("/v2/secret")
    text = client.get("/metrics").get_data(as_text=True)
    assert 'gateway_requests_total{route="/v2/models/<model>/infer",status="200"} 1.0' in text
    assert "secret" not in text + caplog.text


def test_errors_of_other_paths_stay_problems(client):
    check_problem(client.get("/v2x"), 404)
    check_problem(client.get("/nothing"), 404)
