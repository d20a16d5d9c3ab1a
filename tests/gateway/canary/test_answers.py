"""The canary answers requests; whatever goes wrong with it, stable answers them."""

import base64
import io
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from PIL import Image

from brain_tumor import contract, preprocess
from brain_tumor.calls import images_of_a_call
from gateway.canary import attempt, breaker
from gateway.canary.breaker import FAILURES
from gateway.canary.canary import Canary
from gateway.canary.shares import Shares
from gateway.canary.times import Times
from gateway.deadline import Deadline
from gateway.edge.messages import DEADLINE
from gateway.metrics import Metrics
from gateway.model import usual_time
from gateway.model.client import ModelClient
from tests.brain_tumor import images
from tests.brain_tumor.dicom_files import RAMP, encode, scan
from tests.gateway.calls import PNG, check_problem, count_model_errors, form, predict, wanting
from tests.gateway.canary.counted import answered_by, calls, predictions, requested
from tests.gateway.fake_model_server import (
    CLASSES,
    FakeModel,
    abort_with,
    fake_model_server,
    hold_until,
    metadata,
    wait_for,
)
from tests.gateway.images.fetchers import LOOPBACK

STABLE, CANARY = ("stable", 1), ("canary", 2)
PREDICT = contract.PREDICT_SIGNATURE


@pytest.fixture
def client(with_canary):
    return with_canary(share=100)


@pytest.fixture
def release():
    """Lets what is held go on, at the end at the latest."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def patient(monkeypatch):
    """Waits for the canary as long as the deadline allows."""
    monkeypatch.setattr(usual_time, "UNKNOWN", 20.0)


def test_the_canary_answers_its_share(client, model_server, canary_server):
    assert answered_by(predict(client)) == CANARY
    assert requested(client) == {"answered": 1}
    assert canary_server.count(PREDICT) == 1
    assert model_server.count(PREDICT) == 0
    assert predictions(client) == {"2": 1}
    assert calls(client) == {"canary": 1}


def test_without_a_share_stable_answers(with_canary, canary_server):
    client = with_canary(share=0)
    assert answered_by(predict(client)) == STABLE
    assert requested(client) == {}
    assert canary_server.calls == []


def test_without_a_canary_no_label_is_told(make_client):
    assert "label" not in predict(make_client()).get_json()["model"]


@pytest.mark.parametrize("only", [None, PREDICT])
@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (grpc.StatusCode.UNAVAILABLE, "unavailable"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "slow"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "failed"),
        (grpc.StatusCode.NOT_FOUND, "failed"),
        (grpc.StatusCode.INVALID_ARGUMENT, "failed"),
        (grpc.StatusCode.FAILED_PRECONDITION, "failed"),
        (grpc.StatusCode.INTERNAL, "failed"),
        (grpc.StatusCode.UNKNOWN, "failed"),
    ],
)
def test_an_error_of_the_canary_s(client, canary_server, code, outcome, only):
    canary_server.fault = abort_with(code, only)
    assert answered_by(predict(client)) == STABLE
    assert requested(client) == {outcome: 1}
    assert count_model_errors(client) == {}
    assert predictions(client) == {"1": 1}


@pytest.mark.parametrize("only", [contract.DESCRIBE_SIGNATURE, PREDICT])
def test_a_canary_that_hangs(with_canary, canary_server, release, only):
    client = with_canary(share=100, deadline=4.0)
    canary_server.fault = hold_until(release, only)
    assert answered_by(predict(client)) == STABLE
    assert requested(client) == {"slow": 1}
    assert calls(client) == ({"canary": 1, "stable": 1} if only == PREDICT else {"stable": 1})


def test_half_of_the_time_is_left_to_stable_however_slow_calls_usually_are(
    with_canary, canary_server, release, patient
):
    client = with_canary(share=100, deadline=4.0)
    canary_server.fault = hold_until(release, PREDICT)
    assert answered_by(predict(client)) == STABLE
    assert requested(client) == {"slow": 1}


def test_a_canary_has_the_time_that_stable_usually_takes_and_more(with_canary, canary_server, release, monkeypatch):
    client = with_canary(share=100)
    for _ in range(3):
        assert answered_by(client.post("/predict", data=images.GLIOMA, headers=wanting("stable"))) == STABLE
    limits = []

    class Spy(Deadline):
        def __init__(self, seconds: float) -> None:
            limits.append(seconds)
            super().__init__(seconds)

    monkeypatch.setattr(attempt, "Deadline", Spy)
    monkeypatch.setattr(usual_time, "UNKNOWN", 19.0)
    assert answered_by(predict(client)) == CANARY
    describing, predicting = limits
    assert describing == attempt.DESCRIBE_SECONDS
    assert 0.5 <= predicting < 9  # usual_time.SHORTEST, and less than half of the deadline: what is known counts


@pytest.mark.parametrize(
    "changes",
    [
        {"class_names": ("a", "b", "c", "d")},
        {"class_names": CLASSES[:3]},
        {"class_names": CLASSES[::-1]},
        {"out_of_distribution_threshold": None},
    ],
    ids=["other names", "fewer", "another order", "no threshold"],
)
@pytest.mark.parametrize("headers", [PNG, wanting("canary")], ids=["drawn", "chosen"])
def test_another_kind_of_model_never_answers(client, model_server, canary_server, changes, headers):
    model_server.model = FakeModel(metadata(out_of_distribution_threshold=-7.0))
    canary_server.model = FakeModel(metadata(**{"out_of_distribution_threshold": -7.0, **changes}), version=2)
    assert answered_by(client.post("/predict", data=images.GLIOMA, headers=headers)) == STABLE
    assert requested(client) == {"mismatch": 1}
    assert canary_server.count(PREDICT) == 0


def test_another_kind_of_model_that_comes_between_two_calls_never_answers(client, canary_server):
    assert answered_by(predict(client)) == CANARY
    canary_server.model = FakeModel(metadata(class_names=("a", "b", "c", "d")), version=3)
    assert answered_by(predict(client)) == STABLE
    assert requested(client) == {"answered": 1, "mismatch": 1}


def test_a_canary_with_a_threshold_of_its_own_may_answer(client, canary_server):
    canary_server.model = FakeModel(metadata(out_of_distribution_threshold=-7.0), version=2)
    assert predict(client).get_json()["out_of_distribution"]["flag"] is not None


def test_images_are_prepared_as_the_canary_takes_them(client, model_server, canary_server):
    canary_server.model = FakeModel(metadata(height=30, width=20, resampling="nearest"), version=2)
    image = images.noise((90, 70))
    assert answered_by(client.post("/predict", data=images.encode(image), headers=PNG)) == CANARY
    expected = np.asarray(image.resize((20, 30), Image.Resampling.NEAREST))
    np.testing.assert_array_equal(canary_server.batches[0][0], expected)
    canary_server.fault = abort_with(grpc.StatusCode.INTERNAL)
    assert answered_by(client.post("/predict", data=images.encode(image), headers=PNG)) == STABLE
    assert model_server.batches[0].shape == (1, 24, 32, 3)


def test_a_canary_that_is_replaced_by_one_of_another_size(client, canary_server):
    assert answered_by(predict(client)) == CANARY
    canary_server.model = FakeModel(metadata(height=30, width=20), version=3)
    assert answered_by(predict(client)) == ("canary", 3)


def less_classes(outputs):
    return {**outputs, contract.PROBABILITIES: outputs[contract.PROBABILITIES][:, :2]}


def without_scores(outputs):
    return {name: array for name, array in outputs.items() if name != contract.OUT_OF_DISTRIBUTION}


def not_finite(outputs):
    return {**outputs, contract.OUT_OF_DISTRIBUTION: outputs[contract.OUT_OF_DISTRIBUTION] * np.float32(np.nan)}


def no_probabilities(outputs):
    return {**outputs, contract.PROBABILITIES: outputs[contract.PROBABILITIES] * 7}


def fewer_images(outputs):
    return {name: array[:0] for name, array in outputs.items()}


@pytest.mark.parametrize("edit", [less_classes, without_scores, not_finite, no_probabilities, fewer_images])
def test_a_response_that_cannot_be_used(client, canary_server, edit):
    canary_server.edit = edit
    assert answered_by(predict(client)) == STABLE
    assert requested(client) == {"failed": 1}


def test_metadata_that_cannot_be_used(client, canary_server):
    canary_server.model.metadata_text = "no JSON"
    assert answered_by(predict(client)) == STABLE
    assert requested(client) == {"failed": 1}


def test_a_canary_that_goes_and_comes_back(with_canary):
    with fake_model_server() as server:
        server.model = FakeModel(metadata(), version=2)
        client = with_canary(share=100, canary_server=server.address)
        assert answered_by(predict(client)) == CANARY
    for _ in range(FAILURES):
        assert answered_by(predict(client)) == STABLE
    assert requested(client) == {"answered": 1, "unavailable": FAILURES}
    with fake_model_server(server.port) as again:
        again.model = FakeModel(metadata(), version=3)
        wait_for(lambda: answered_by(predict(client)) == ("canary", 3))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no-such-host.invalid:8500"])
def test_a_canary_that_was_never_there(with_canary, address):
    client = with_canary(share=100, canary_server=address)
    assert answered_by(predict(client)) == STABLE
    assert requested(client) == {"unavailable": 1}


def test_a_canary_that_cannot_explain_leaves_that_to_stable(client, canary_server):
    canary_server.model = FakeModel(metadata(explains=False), version=2)
    response = predict(client, "?explain=true")
    assert answered_by(response) == STABLE
    assert "explanation" in response.get_json()
    assert requested(client) == {"mismatch": 1}
    assert answered_by(predict(client)) == CANARY


def test_a_canary_that_fails_again_and_again_is_asked_no_more(client, canary_server, monkeypatch):
    monkeypatch.setattr(breaker, "FIRST_PAUSE", 600.0)
    canary_server.fault = abort_with(grpc.StatusCode.INTERNAL, PREDICT)
    for _ in range(FAILURES + 4):
        assert answered_by(predict(client)) == STABLE
    assert canary_server.count(PREDICT) == FAILURES
    assert requested(client) == {"failed": FAILURES, "skipped": 4}


def test_a_canary_that_hangs_has_only_a_part_of_the_requests(with_canary, canary_server, release, patient):
    client = with_canary(share=50, max_in_flight=2)
    assert answered_by(client.post("/predict", data=images.GLIOMA, headers=wanting("canary"))) == CANARY
    canary_server.fault = hold_until(release, PREDICT)
    began = canary_server.count(PREDICT)

    def ask():
        return answered_by(
            client.application.test_client().post("/predict", data=images.GLIOMA, headers=wanting("canary"))
        )

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(ask)
        wait_for(lambda: canary_server.count(PREDICT) > began)
        assert ask() == STABLE
        assert requested(client) == {"answered": 1, "skipped": 1}
        release.set()
        assert held.result(20) in (CANARY, STABLE)


def test_one_request_is_one_model_s(client, model_server, canary_server):
    large = {"height": 1000, "width": 1000}
    model_server.model = FakeModel(metadata(**large))
    canary_server.model = FakeModel(metadata(**large), version=2)
    left = iter([None, None])

    def fault(signature, context) -> None:
        if signature == PREDICT and next(left, "none left") == "none left":
            context.abort(grpc.StatusCode.INTERNAL, "the third")

    canary_server.fault = fault
    response = client.post("/predict", data=form(images.GLIOMA, images.NOTUMOR, images.MENINGIOMA))
    predicted = response.get_json()["predictions"]
    assert [document["model"]["label"] for document in predicted] == ["stable"] * 3
    assert canary_server.count(PREDICT) == 3
    assert predictions(client) == {"1": 3}


def test_images_of_one_request_that_meet_two_versions(client, model_server, canary_server):
    large = {"height": 1000, "width": 1000}
    model_server.model = FakeModel(metadata(**large))
    canary_server.model = FakeModel(metadata(**large), version=2)

    def then_swap(outputs):
        canary_server.model = FakeModel(metadata(**large), version=canary_server.model.version + 1)
        return outputs

    canary_server.edit = then_swap
    response = client.post("/predict", data=form(images.GLIOMA, images.NOTUMOR))
    assert {document["model"]["label"] for document in response.get_json()["predictions"]} == {"stable"}
    assert requested(client) == {"failed": 1}


def test_a_bad_image_among_several_has_its_own_problem(client):
    response = client.post("/predict", data=form(images.GLIOMA, b"bad", images.NOTUMOR))
    first, bad, last = response.get_json()["predictions"]
    assert [document["model"]["label"] for document in (first, last)] == ["canary"] * 2
    assert bad["status"] == 415
    assert predictions(client) == {"2": 2}


def test_what_holds_no_image_says_nothing_about_the_canary(client, canary_server):
    check_problem(client.post("/predict", data=b"bad", headers=PNG), 415)
    assert requested(client) == {}
    assert canary_server.count(PREDICT) == 0


def test_an_image_that_is_too_large_for_the_canary_alone(with_canary, canary_server):
    # Stable can do with half of its width and height; who crops needs the whole image.
    client = with_canary(share=100, max_pixels=100_000)
    canary_server.model = FakeModel(metadata(crop_to_head=True), version=2)
    large = images.plain(size=(600, 600), kind="JPEG")
    assert answered_by(client.post("/predict", data=large, headers=PNG)) == STABLE
    assert requested(client) == {}
    response = client.post("/predict", data=form(large, images.GLIOMA))
    assert [document["model"]["label"] for document in response.get_json()["predictions"]] == ["stable"] * 2
    assert requested(client) == {"skipped": 1}


def test_the_same_image_is_decoded_once_where_both_take_it_alike(client, canary_server, monkeypatch):
    decoded = []
    read_image = preprocess.read_image
    monkeypatch.setattr(
        preprocess, "read_image", lambda *given, **named: decoded.append(1) or read_image(*given, **named)
    )
    canary_server.fault = abort_with(grpc.StatusCode.INTERNAL, PREDICT)
    response = predict(client, "?explain=true")
    assert answered_by(response) == STABLE
    assert "explanation" in response.get_json()
    assert len(decoded) == 1


def test_two_models_under_one_version_count_apart(client, canary_server):
    canary_server.model = FakeModel(metadata(), version=1)
    assert answered_by(predict(client)) == ("canary", 1)
    client.post("/predict", data=images.GLIOMA, headers=wanting("stable"))
    assert predictions(client) == {"1-canary": 1, "1": 1}


def test_every_way_to_send_an_image(with_canary, web):
    client = with_canary(share=100, url_allowed_networks=LOOPBACK, url_ports=frozenset({web.port}))
    url, text = web.serve("/scan.png", images.GLIOMA), base64.b64encode(images.GLIOMA).decode()
    dicom = {"data": encode(scan(np.stack([RAMP] * 3))), "content_type": "application/dicom"}
    for path, send in (
        ("/predict", {"json": {"url": url}}),
        ("/predict", {"json": {"image": text}}),
        ("/predict?frame=2", dicom),
        ("/predict?explain=true&view=true", {"data": {"image": (io.BytesIO(images.GLIOMA), "a.png")}}),
    ):
        assert answered_by(client.post(path, **send)) == CANARY, path
    documents = client.post("/predict", json={"instances": [{"url": url}, text]}).get_json()["predictions"]
    assert [document["model"]["label"] for document in documents] == ["canary"] * 2


def test_a_client_that_leaves_says_nothing_about_the_canary(client, canary_server, release, patient):
    assert answered_by(predict(client)) == CANARY
    canary_server.fault = hold_until(release, PREDICT)
    calls_before = canary_server.count(PREDICT)
    with ThreadPoolExecutor(1) as pool:
        for number in range(FAILURES + 1):
            deadline = Deadline(20)
            other = client.application.test_client()
            response = pool.submit(predict_until, other, deadline)
            wait_for(lambda number=number: canary_server.count(PREDICT) > calls_before + number)
            deadline.cancel()
            assert response.result(20).status_code == 499
    release.set()
    canary_server.fault = None
    assert answered_by(predict(client)) == CANARY
    assert requested(client) == {"answered": 2}


def predict_until(client, deadline: Deadline):
    return client.post("/predict", data=images.GLIOMA, headers=PNG, environ_overrides={DEADLINE: deadline})


def test_an_error_that_nobody_expected_costs_no_request(model_server, canary_server, caplog):
    clients = [ModelClient(server.address, contract.MODEL_NAME) for server in (canary_server, model_server)]
    metrics = Metrics()
    canary = Canary(*clients, lambda: Shares(100), metrics, requests=1, seconds=20)

    def work(attempt):
        raise MemoryError

    assert canary.answer(Deadline(20), 1, work) is None
    assert 'gateway_canary_requests_total{outcome="failed"} 1.0' in metrics.render().decode()
    assert "unexpected" in caplog.text
    for client in clients:
        client.close()


def test_the_time_that_is_left_must_do_for_all_images(canary_server):
    """Or many images would be begun by the canary, and leave the stable model too little time for them."""
    deadline = Deadline(20)
    client = ModelClient(canary_server.address, "brain-tumor")
    model = client.get(deadline)
    times = Times(Metrics("x").canary)
    times.usual.add((False, 1), 1.0)  # seconds
    one = np.zeros((1, 24, 32, 3), np.uint8)
    enough = attempt.Attempt(client, model, times, seconds=5.0, images=1)
    enough.get(deadline)
    assert len(enough.predict(model, one, explain=False, deadline=deadline).probabilities) == 1
    many = attempt.Attempt(client, model, times, seconds=5.0, images=10 * images_of_a_call(model.metadata.image))
    many.get(deadline)
    with pytest.raises(attempt.CanaryFailed, match="too short for all images"):
        many.predict(model, one, explain=False, deadline=deadline)
    client.close()
