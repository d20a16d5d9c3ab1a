"""The warmup file holds the gateway's calls, and the published model can run them."""

import numpy as np
import pytest
import tensorflow as tf

from brain_tumor.calls import MAX_IMAGES
from brain_tumor.contract import IMAGES, PREDICT_SIGNATURE
from brain_tumor.metadata import ImageSpec, ModelMetadata
from converter.write.warmup import write_warmup
from gateway.deadline import Deadline
from gateway.model.client import ModelClient
from serving_api import tensors
from serving_api.messages import PredictionLog
from tests.converter.small_models import SIZE, publish
from tests.gateway.fake_model_server import FakeModel, fake_model_server, metadata


def requests_of(file):
    logs = [PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file))]
    return [log.predict_log.request for log in logs]


def call_of(request):
    return request.model_spec.signature_name, tuple(request.output_filter)


def batches_of(requests):
    return [request.inputs[IMAGES].tensor_shape.dim[0].size for request in requests if request.inputs]


def test_the_published_model_runs_its_warmup(tmp_path):
    folder = publish(tmp_path / "models", name="other")
    file = folder / "assets.extra" / "tf_serving_warmup_requests"
    assert file.stat().st_size < 1000
    requests = requests_of(file)
    assert {request.model_spec.name for request in requests} == {"other"}
    signatures = tf.saved_model.load(str(folder)).signatures
    for request in requests:
        name, outputs = call_of(request)
        assert set(outputs) <= signatures[name].structured_outputs.keys()
        if name == PREDICT_SIGNATURE:
            images = tensors.to_array(request.inputs[IMAGES])
            assert images.shape[1:] == (*SIZE, 3)
            # TensorFlow, too, repeats the one value.
            proto = tf.compat.v1.make_tensor_proto(0).FromString(request.inputs[IMAGES].SerializeToString())
            assert (tf.make_ndarray(proto) == images).all()
            assert len(signatures[name](images=tf.constant(images))) == 3


@pytest.mark.parametrize("explains", [True, False])
def test_it_has_each_call_of_the_gateway_and_no_other(tmp_path, explains):
    """TensorFlow prepares its graph anew for each set of outputs, so one that is missing keeps clients waiting."""
    served = metadata(explains=explains)
    with fake_model_server() as server:
        server.model = FakeModel(served)
        client = ModelClient(server.address, server.name)
        model = client.get(Deadline(10))
        for explain in {False, explains}:
            client.predict(
                model,
                np.zeros((1, served.image.height, served.image.width, 3), np.uint8),
                explain=explain,
                deadline=Deadline(10),
            )
        client.close()
        called = {(signature, tuple(outputs)) for signature, outputs in server.calls}
    write_warmup(tmp_path / "warmup", served)
    requests = requests_of(tmp_path / "warmup")
    assert {call_of(request) for request in requests} == called
    assert len(called) == (3 if explains else 2)


@pytest.mark.parametrize(("side", "largest"), [(299, 15), (32, MAX_IMAGES), (2000, 1)])
def test_its_last_call_has_as_many_images_as_one_of_the_gateway_may(tmp_path, side, largest):
    write_warmup(tmp_path / "warmup", ModelMetadata(("a", "b"), ImageSpec(side, side), explains=True))
    requests = requests_of(tmp_path / "warmup")
    assert batches_of(requests) == [1, 1, largest]
    assert call_of(requests[-1]) == call_of(requests[-2]), "the call with the most outputs"
