from collections.abc import Iterator

import numpy as np
import pytest

from gateway.classify.pixels import OtherSize, PixelClassifier
from gateway.deadline import ClientLeft, Deadline, DeadlineExceeded
from gateway.metrics import Metrics
from gateway.model.client import ModelClient
from gateway.model.responses import ModelUnavailable
from tests.gateway.fake_model_server import SMALL, FakeModel, metadata


@pytest.fixture
def model_client(model_server) -> Iterator[ModelClient]:
    client = ModelClient(model_server.address, "brain-tumor")
    yield client
    client.close()


def noise(count: int, height: int = SMALL.height, width: int = SMALL.width) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def classify(model_client: ModelClient, pixels: np.ndarray, deadline: Deadline | None = None):
    deadline = deadline or Deadline(20)
    return PixelClassifier(model_client, Metrics()).classify(pixels, model_client.get(Deadline(20)), deadline)


def test_pixels_reach_the_model_as_they_are(model_client, model_server):
    pixels = noise(3)
    classifications = classify(model_client, pixels)
    np.testing.assert_array_equal(model_server.batches[0], pixels)
    expected = model_server.model.outputs(pixels)
    for row, classification in enumerate(classifications):
        np.testing.assert_array_equal(classification.probabilities, expected["probabilities"][row])
        assert classification.out_of_distribution == expected["out_of_distribution"][row]
        assert classification.overlay is None


def test_large_images_are_sent_in_several_calls(model_client, model_server):
    model_server.model = FakeModel(metadata(height=1024, width=600))
    pixels = noise(5, 1024, 600)
    assert len(classify(model_client, pixels)) == 5
    np.testing.assert_array_equal(np.concatenate(model_server.batches), pixels)
    assert [len(batch) for batch in model_server.batches] == [2, 2, 1]


def test_a_newer_model_of_the_same_size_takes_the_same_pixels(model_client, model_server):
    model_client.get(Deadline(20))
    model_server.model = FakeModel(metadata(class_names=["no", "yes"], resampling="nearest"), 2)
    (classification,) = classify(model_client, noise(1))
    assert (classification.model.version, len(classification.probabilities)) == (2, 2)


def test_a_newer_model_of_another_size_does_not(model_client, model_server):
    model_client.get(Deadline(20))
    model_server.model = FakeModel(metadata(height=8, width=9), 2)
    with pytest.raises(OtherSize, match="height 8 and width 9"):
        classify(model_client, noise(1))


def test_a_model_that_keeps_changing(model_client, model_server):
    resamplings = ("bilinear", "nearest", "box")

    def change() -> None:
        version = model_server.model.version + 1
        model_server.model = FakeModel(metadata(resampling=resamplings[version % 3]), version)

    model_server.after_describe = change
    with pytest.raises(ModelUnavailable):
        classify(model_client, noise(1))


def test_nobody_waits_any_more(model_client):
    deadline = Deadline(20)
    deadline.cancel()
    with pytest.raises(ClientLeft):
        classify(model_client, noise(1), deadline)
    with pytest.raises(DeadlineExceeded):
        classify(model_client, noise(1), Deadline(0))
