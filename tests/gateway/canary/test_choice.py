"""Who answers: by the headers, by the path, by the share."""

import logging

import grpc
import pytest

from brain_tumor import contract
from tests.brain_tumor import images
from tests.gateway.calls import PNG, check_problem, count_model_errors, predict, wanting
from tests.gateway.canary.counted import answered_by, requested
from tests.gateway.fake_model_server import FakeModel, abort_with, metadata, wait_for
from tests.gateway.http.open_inference.bodies import INFER, RED, check_error, files, infer, of_pixels, outputs, pixels

STABLE, CANARY = ("stable", 1), ("canary", 2)
MODEL = "/v2/models/brain-tumor"


def send(client, headers):
    return client.post("/predict", data=images.GLIOMA, headers=headers)


@pytest.mark.parametrize("share", [0, 100])
@pytest.mark.parametrize(
    ("wanted", "expected"), [("stable", STABLE), ("canary", CANARY), ("1", STABLE), ("2", CANARY), ("02", CANARY)]
)
def test_the_header_chooses_whatever_the_share(with_canary, wanted, expected, share):
    assert answered_by(send(with_canary(share=share), wanting(wanted))) == expected


@pytest.mark.parametrize("wanted", ["", "Stable", "newest", "-1", "1.0", "²", "9" * 19, "stable,canary"])
def test_a_header_that_means_nothing(with_canary, make_client, wanted):
    for client in (with_canary(), make_client()):
        problem = check_problem(send(client, {**PNG, "X-Model-Version": wanted.encode("utf-8").decode("latin-1")}), 400)
        assert "X-Model-Version must be stable, canary or the number" in problem["detail"]


def test_a_version_that_neither_serves(with_canary):
    problem = check_problem(send(with_canary(share=100), wanting("3")), 404)
    assert problem["detail"] == "This version is not served now. Versions 1 and 2 are; or leave the version out."


def test_without_a_canary_the_header_finds_none(make_client):
    client = make_client()
    assert "no canary" in check_problem(send(client, wanting("canary")), 404)["detail"]
    check_problem(send(client, wanting("2")), 404)
    for wanted in ("stable", "1"):
        assert send(client, wanting(wanted)).get_json()["model"]["version"] == 1


def test_one_number_on_both_servers_is_stable_s(with_canary, canary_server):
    canary_server.model = FakeModel(metadata(), version=1)
    assert answered_by(send(with_canary(share=100), wanting("1"))) == STABLE


def test_a_newer_version_is_found_at_once(with_canary, model_server, canary_server):
    client = with_canary()
    assert answered_by(send(client, wanting("2"))) == CANARY
    canary_server.model = FakeModel(metadata(), version=5)
    assert answered_by(send(client, wanting("5"))) == ("canary", 5)
    model_server.model = FakeModel(metadata(), version=7)
    wait_for(lambda: send(client, wanting("7")).status_code == 200)  # stable is asked again after a second
    assert answered_by(send(client, wanting("7"))) == ("stable", 7)


@pytest.mark.parametrize("wanted", ["canary", "2"])
def test_a_chosen_canary_that_fails_is_replaced_and_the_response_says_so(with_canary, canary_server, wanted):
    client = with_canary()
    assert answered_by(send(client, wanting(wanted))) == CANARY
    canary_server.fault = abort_with(grpc.StatusCode.INTERNAL)
    assert answered_by(send(client, wanting(wanted))) == STABLE
    assert requested(client) == {"answered": 1, "failed": 1}


def test_a_number_is_asked_of_a_canary_that_never_responded(with_canary, canary_server):
    canary_server.fault = abort_with(grpc.StatusCode.UNAVAILABLE)
    assert "Version 1 is;" in check_problem(send(with_canary(), wanting("2")), 404)["detail"]


def test_a_client_with_a_routing_key_keeps_its_model(with_canary, share_file):
    client = with_canary(share=50)
    keys = [{**PNG, "X-Routing-Key": f"clinic {number}"} for number in range(12)]
    first = [answered_by(send(client, key)) for key in keys]
    assert set(first) == {STABLE, CANARY}
    assert [answered_by(send(client, key)) for key in keys] == first
    again = with_canary(share=50)  # another gateway
    assert [answered_by(send(again, key)) for key in keys] == first
    more = with_canary(share=75)
    assert {key for key, was in zip(map(str, keys), first, strict=True) if was == CANARY} <= {
        str(key) for key in keys if answered_by(send(more, key)) == CANARY
    }


def test_the_routing_key_is_told_to_nobody(with_canary, canary_server, caplog):
    caplog.set_level(logging.DEBUG)
    client = with_canary(share=100, shadow=100)
    canary_server.fault = abort_with(grpc.StatusCode.INTERNAL)
    response = send(client, {**PNG, "X-Routing-Key": "clinic doe", "X-Model-Version": "canary"})
    assert answered_by(response) == STABLE
    texts = (caplog.text, response.get_data(as_text=True), str(response.headers))
    assert not [text for text in (*texts, client.get("/metrics").get_data(as_text=True)) if "doe" in text]


both_inputs = pytest.mark.parametrize(
    "sent", [files(images.GLIOMA), of_pixels(pixels(RED), pixels(RED).tolist())], ids=["file", "pixels"]
)


def label(response) -> str:
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()["parameters"]["label"]


@both_inputs
def test_open_inference_too(with_canary, sent):
    client = with_canary(share=100)
    response = infer(client, sent)
    assert (label(response), response.get_json()["model_version"]) == ("canary", "2")
    assert outputs(response)["class"] == ["glioma"]
    for version, expected in (("1", "stable"), ("2", "canary"), ("stable", "stable"), ("canary", "canary")):
        assert label(infer(client, sent, f"{MODEL}/versions/{version}/infer")) == expected
        headers = {"X-Model-Version": version}
        assert label(client.post(INFER, json={"inputs": [sent]}, headers=headers)) == expected
    check_error(infer(client, sent, f"{MODEL}/versions/3/infer"), 404)
    one = f"{MODEL}/versions/1/infer"  # a version in the path counts before one in the header
    response = client.post(one, json={"inputs": [sent]}, headers={"X-Model-Version": "canary"})
    assert label(response) == "stable"


@both_inputs
def test_a_version_in_the_path_is_never_replaced_by_another(with_canary, canary_server, sent):
    client = with_canary()
    path = f"{MODEL}/versions/2/infer"
    assert label(infer(client, sent, path)) == "canary"
    canary_server.fault = abort_with(grpc.StatusCode.INTERNAL, contract.PREDICT_SIGNATURE)
    check_error(infer(client, sent, path), 503)
    assert label(infer(client, sent)) == "stable"


def test_an_image_that_cannot_be_used_is_the_client_s_fault_with_a_version_in_the_path_too(with_canary):
    client = with_canary()
    broken = files(b"no image at all")
    expected = infer(client, broken, f"{MODEL}/versions/1/infer")
    assert 400 <= expected.status_code < 500
    assert infer(client, broken, f"{MODEL}/versions/2/infer").status_code == expected.status_code
    assert count_model_errors(client) == {}


def test_without_a_canary_open_inference_tells_no_label(make_client):
    client = make_client()
    assert "label" not in infer(client, files(images.GLIOMA)).get_json()["parameters"]
    check_error(infer(client, files(images.GLIOMA), f"{MODEL}/versions/canary/infer"), 404)
    assert infer(client, files(images.GLIOMA), f"{MODEL}/versions/stable/infer").status_code == 200


def of_size(height: int, width: int) -> dict[str, object]:
    data = [[[[200, 30, 30]] * width] * height]
    return {"name": "images", "shape": [1, height, width, 3], "datatype": "UINT8", "data": data}


def test_pixels_go_to_the_model_that_takes_their_size(with_canary, canary_server):
    canary_server.model = FakeModel(metadata(height=8, width=9), version=2)
    client = with_canary(share=100)
    assert label(infer(client, of_size(24, 32))) == "stable"  # as the gateway's metadata say
    assert requested(client) == {}
    canary = {"X-Model-Version": "canary"}
    assert label(client.post(INFER, json={"inputs": [of_size(8, 9)]}, headers=canary)) == "canary"
    assert "8, 9" in check_error(client.post(INFER, json={"inputs": [of_size(24, 32)]}, headers=canary), 400)
    canary_server.fault = abort_with(grpc.StatusCode.INTERNAL, contract.PREDICT_SIGNATURE)
    check_error(client.post(INFER, json={"inputs": [of_size(8, 9)]}, headers=canary), 503)


def test_what_the_gateway_says_of_its_model_is_said_of_stable(with_canary):
    client = with_canary(share=100)
    assert answered_by(predict(client)) == CANARY
    assert client.get(MODEL).get_json()["versions"] == ["1"]
    assert client.get("/model").get_json()["version"] == 1
    assert client.get("/readyz").get_json()["model"] == {"state": "available", "name": "brain-tumor", "version": 1}
    assert "label" not in client.get("/").get_json()["model"]
    check_error(client.get(f"{MODEL}/versions/2"), 404)


def test_a_gateway_is_ready_without_its_canary_and_not_without_stable(with_canary, model_server, canary_server):
    client = with_canary(share=100)
    model_server.fault = abort_with(grpc.StatusCode.UNAVAILABLE)
    assert client.get("/readyz").status_code == 503
    model_server.fault, canary_server.fault = None, abort_with(grpc.StatusCode.UNAVAILABLE)
    assert client.get("/readyz").status_code == 200


def test_two_versions_of_one_model_server(make_client, model_server, share_file):
    model_server.older = [FakeModel(metadata(), version=3), FakeModel(metadata(), version=4)]
    model_server.labels = {"proven": 3, "next": 4}
    share_file.write_text("share = 0")
    settings = {"canary_version_label": "next", "canary_file": share_file}
    labelled = make_client(version_label="proven", **settings)
    for wanted, expected in (("stable", ("stable", 3)), ("canary", ("canary", 4)), ("4", ("canary", 4))):
        assert answered_by(send(labelled, wanting(wanted))) == expected
    newest = make_client(**settings)
    assert answered_by(send(newest, wanting("stable"))) == STABLE
    model_server.labels = {}
    assert answered_by(send(make_client(**settings), wanting("canary"))) == STABLE
