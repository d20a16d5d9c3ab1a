"""Health and metadata, and who is not served."""

import grpc
import pytest

from gateway import VERSION
from tests.brain_tumor import images
from tests.gateway.fake_model_server import FakeModel, abort_with, metadata
from tests.gateway.http.open_inference.bodies import check_error, files, infer, outputs

MODEL = "/v2/models/brain-tumor"


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_server(client, path):
    expected = {"name": "brain-tumor-gateway", "version": VERSION, "extensions": ["binary_tensor_data"]}
    response = client.get(path)
    assert (response.status_code, response.get_json()) == (200, expected)


def test_model(client, model_server):
    model_server.model = FakeModel(metadata(out_of_distribution_threshold=1.0, color_mode="bgr"), 4)
    document = client.get(MODEL).get_json()
    assert (document["name"], document["versions"], document["platform"]) == (
        "brain-tumor",
        ["4"],
        "tensorflow_savedmodel",
    )
    assert document["inputs"] == [
        {"name": "image", "datatype": "BYTES", "shape": [-1]},
        {"name": "images", "datatype": "UINT8", "shape": [-1, 24, 32, 3]},
    ]
    assert document["outputs"] == [
        {"name": "class", "datatype": "BYTES", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 4]},
        {"name": "out_of_distribution", "datatype": "FP32", "shape": [-1]},
        {"name": "out_of_distribution_flag", "datatype": "BOOL", "shape": [-1]},
    ]
    assert document["properties"]["color_mode"] == "bgr"
    assert client.get(f"{MODEL}/versions/4").get_json() == document


def test_health(client):
    assert client.get("/v2/health/live").get_json() == {"live": True}
    assert client.get("/v2/health/ready").get_json() == {"ready": True}
    for path in (f"{MODEL}/ready", f"{MODEL}/versions/1/ready"):
        assert client.get(path).get_json() == {"name": "brain-tumor", "ready": True}


def test_a_model_that_is_away_is_not_ready_and_that_is_no_error_of_a_call(client, model_server):
    model_server.fault = abort_with(grpc.StatusCode.UNAVAILABLE)
    for path in ("/v2/health/ready", MODEL, f"{MODEL}/ready"):
        response = client.get(path)
        check_error(response, 503)
        assert int(response.headers["Retry-After"]) > 0
    assert client.get("/v2/health/live").status_code == 200
    assert 'gateway_model_errors_total{code="UNAVAILABLE"}' not in client.get("/metrics").get_data(as_text=True)
    model_server.fault = None
    assert client.get("/v2/health/ready").status_code == 200


@pytest.mark.parametrize("name", ["x", "brain-tumor ", "Brain-Tumor", "%2e%2e", "%ff", "stats"])
def test_another_model(client, name):
    for path in (f"/v2/models/{name}", f"/v2/models/{name}/ready", f"/v2/models/{name}/versions/1"):
        assert '"brain-tumor"' in check_error(client.get(path), 404)
    assert '"brain-tumor"' in check_error(infer(client, files(images.GLIOMA), f"/v2/models/{name}/infer"), 404)


@pytest.mark.parametrize("version", ["2", "01", "-1", "latest", "%ff", "1.0"])
def test_another_version(client, version):
    path = f"{MODEL}/versions/{version}"
    for of_version in (path, f"{path}/ready"):
        assert "Version 1 is" in check_error(client.get(of_version), 404)
    assert "Version 1 is" in check_error(infer(client, files(images.GLIOMA), f"{path}/infer"), 404)


def test_a_version_that_is_asked_for_is_the_one_that_responds(client, model_server):
    first, second = f"{MODEL}/versions/1/infer", f"{MODEL}/versions/2/infer"
    assert outputs(infer(client, files(images.GLIOMA), first))["class"] == ["glioma"]
    model_server.model = FakeModel(metadata(), 2)
    # The gateway has not seen the new version: only the response tells.
    assert "Version 2 is" in check_error(infer(client, files(images.GLIOMA), first), 404)
    client.get(MODEL)
    assert infer(client, files(images.GLIOMA), second).get_json()["model_version"] == "2"


@pytest.mark.parametrize(
    "path", ["/v2/models", "/v2/nothing", f"{MODEL}/config", f"{MODEL}/infer/x", "/v2//health/live"]
)
def test_nothing_there(client, path):
    check_error(client.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path"), [("get", f"{MODEL}/infer"), ("post", "/v2"), ("post", MODEL), ("delete", f"{MODEL}/ready")]
)
def test_wrong_method(client, method, path):
    response = getattr(client, method)(path)
    check_error(response, 405)
    assert response.headers["Allow"]
