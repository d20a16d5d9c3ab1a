import base64
import io
from concurrent.futures import ThreadPoolExecutor, wait

import grpc
import numpy as np
import pytest
from PIL import Image

from brain_tumor import contract, image, preprocess
from brain_tumor.image.fork_server import OneProcessEach
from gateway.classify.classifier import Classifier
from gateway.deadline import ClientLeft, Deadline, DeadlineExceeded
from gateway.metrics import Metrics
from gateway.model.client import ModelClient
from tests.brain_tumor import images
from tests.gateway.calls import PNG, check_problem, form
from tests.gateway.fake_model_server import FakeModel, abort_with, metadata

STATUS = {
    image.UnknownImageType: 415,
    image.BrokenImage: 400,
    image.UnusableImage: 422,
    image.ImageTooLarge: 413,
}


@pytest.mark.parametrize("name", images.BAD)
def test_bad_image(client, model_server, name):
    data, kind = images.BAD[name]
    check_problem(client.post("/predict", data=data, headers=PNG), 400 if name == "empty" else STATUS[kind])
    assert model_server.count(contract.PREDICT_SIGNATURE) == 0


def test_too_many_pixels(make_client):
    client = make_client(max_pixels=1024)
    check_problem(client.post("/predict", data=images.plain(size=(33, 32)), headers=PNG), 413)
    assert client.post("/predict", data=images.plain(size=(32, 32)), headers=PNG).status_code == 200


@pytest.mark.parametrize("name", images.ODD)
def test_odd_images_are_classified(client, name):
    response = client.post("/predict", data=images.ODD[name], headers=PNG)
    assert response.status_code == 200, response.get_json()


def test_only_bad_images_need_no_prediction(client, model_server):
    response = client.post("/predict", data=form(b"no", b"image"))
    assert [problem["status"] for problem in response.get_json()["predictions"]] == [415, 415]
    assert model_server.count(contract.PREDICT_SIGNATURE) == 0


def test_large_images_are_sent_in_several_calls(client, model_server):
    model_server.model = FakeModel(metadata(height=1000, width=1000))
    response = client.post("/predict", data=form(*[images.GLIOMA] * 3))
    assert [prediction["class"] for prediction in response.get_json()["predictions"]] == ["glioma"] * 3
    assert [len(batch) for batch in model_server.batches] == [1, 1, 1]


def test_a_model_that_cannot_explain(client, model_server):
    model_server.model = FakeModel(metadata(explains=False))
    response = client.post("/predict?explain=true", data=images.GLIOMA, headers=PNG)
    assert response.status_code == 422
    assert "explain" in response.get_json()["detail"]
    assert model_server.count(contract.PREDICT_SIGNATURE) == 0
    assert client.post("/predict", data=images.GLIOMA, headers=PNG).status_code == 200


def test_images_are_prepared_as_the_metadata_says(client, model_server):
    model_server.model = FakeModel(metadata(height=20, width=30, resampling="nearest"))
    image = images.noise((90, 70))
    client.post("/predict", data=images.encode(image), headers=PNG)
    expected = np.asarray(image.resize((30, 20), Image.Resampling.NEAREST))
    np.testing.assert_array_equal(model_server.batches[0][0], expected)


def test_the_overlay_lies_over_what_the_model_saw(client, model_server):
    model_server.model = FakeModel(metadata(crop_to_head=True, pad_to_aspect_ratio=True, color_mode="grayscale"))
    scan = Image.new("RGB", (90, 64))
    scan.paste((200, 30, 30), (40, 10, 60, 60))
    response = client.post("/predict?explain=true", data=images.encode(scan), headers=PNG)
    (batch,) = model_server.batches
    assert batch[0, :, 16].min() > 50  # the head, as high as the image
    assert batch[0, :, :8].max() == 0
    png = base64.b64decode(response.get_json()["explanation"]["png"])
    overlay = np.asarray(Image.open(io.BytesIO(png)))
    height, width, _ = overlay.shape
    assert width / height == pytest.approx(32 / 24, abs=0.02)
    assert height in range(48, 54)  # the head's own resolution
    assert overlay[height // 2, width // 2].tolist() == [200, 30, 30]
    assert overlay[height // 2, -3].tolist() == [0, 0, 0]


def test_the_metadata_is_asked_for_once(client, model_server):
    for _ in range(5):
        assert client.post("/predict", data=images.GLIOMA, headers=PNG).status_code == 200
    assert model_server.count(contract.DESCRIBE_SIGNATURE) == 1


def test_a_model_fault_fails_all_images_together(client, model_server):
    model_server.fault = abort_with(grpc.StatusCode.INTERNAL, contract.PREDICT_SIGNATURE)
    files = [(io.BytesIO(images.GLIOMA), "a.png"), (io.BytesIO(b"bad"), "b.png")]
    check_problem(client.post("/predict", data={"image": files}), 502)


def test_the_metadata_is_asked_for_once_a_request(make_client, model_server):
    client = make_client(max_age=0.0)
    model_server.model = FakeModel(metadata(height=1000, width=1000))
    for requests in (1, 2):
        assert client.post("/predict", data=form(*[images.GLIOMA] * 3)).status_code == 200
        assert len(model_server.batches) == 3 * requests
        assert model_server.count(contract.DESCRIBE_SIGNATURE) == requests


def test_explaining_decodes_once(client, model_server, monkeypatch):
    decoded = []
    read_image = preprocess.read_image
    monkeypatch.setattr(
        preprocess, "read_image", lambda *given, **named: decoded.append(1) or read_image(*given, **named)
    )
    data = images.encode(images.noise((1200, 900)))
    response = client.post("/predict?explain=true", data=data, headers=PNG)
    assert len(decoded) == 1
    overlay = Image.open(io.BytesIO(base64.b64decode(response.get_json()["explanation"]["png"])))
    assert overlay.size == (512, 384)


def test_a_page_is_classified(model_server):
    model_client = ModelClient(model_server.address, contract.MODEL_NAME, 600.0)
    try:
        classifier = Classifier(model_client, Metrics(), max_pixels=1 << 20, decoders=1)
        for page, class_index in ((None, 0), (1, 0), (2, 1), (3, 2)):
            (outcome,) = classifier.classify([images.animated_gif()], explain=False, deadline=Deadline(20), page=page)
            assert outcome.class_index == class_index
        (outcome,) = classifier.classify([images.animated_gif()], explain=False, deadline=Deadline(20), page=4)
        assert isinstance(outcome, image.NoSuchPage)
    finally:
        model_client.close()


def test_a_model_s_images_are_prepared_by_one_preprocessor(client, model_server, monkeypatch):
    made = []
    prepare = preprocess.Preprocessor.prepare
    monkeypatch.setattr(
        preprocess.Preprocessor,
        "prepare",
        lambda self, *given, **named: made.append(self) or prepare(self, *given, **named),
    )
    for _ in range(3):
        client.post("/predict", data=images.GLIOMA, headers=PNG)
    assert len(made) == 3
    assert all(preprocessor is made[0] for preprocessor in made)


@pytest.fixture
def classifier(model_server):
    model_client = ModelClient(model_server.address, contract.MODEL_NAME, 600.0)
    yield Classifier(model_client, Metrics(), max_pixels=1 << 20, decoders=1)
    model_client.close()


@pytest.fixture
def endless(monkeypatch, tmp_path):
    """An image of a rare format that is never decoded."""
    program = tmp_path / "program.py"
    program.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(image.apart, "_runner", OneProcessEach(program))
    return b"\xff\x0a"


def test_an_image_that_takes_longer_than_the_deadline_is_not_too_large(classifier, endless):
    with pytest.raises(DeadlineExceeded):
        classifier.classify([endless], explain=False, deadline=Deadline(0.5))


def test_a_client_that_leaves_ends_the_decoding_and_the_wait_for_it(classifier, endless):
    decoding, waiting = Deadline(50), Deadline(50)
    with ThreadPoolExecutor() as pool:
        requests = [pool.submit(classifier.classify, [endless], explain=False, deadline=decoding)]
        assert wait(requests, 0.5).not_done
        requests.append(pool.submit(classifier.classify, [endless], explain=False, deadline=waiting))
        assert wait(requests, 0.3).not_done == set(requests)
        for request, deadline in ((requests[1], waiting), (requests[0], decoding)):
            deadline.cancel()
            with pytest.raises(ClientLeft):
                request.result(20)
