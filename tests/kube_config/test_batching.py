"""The component batching: TensorFlow Serving reads its file, and its numbers fit those of the gateway."""

from pathlib import Path

import pytest
from google.protobuf import text_format

from serving_api.messages import BatchingParameters
from tests.kube_config.manifests import Object, build_with, container_of, one, pod_of
from tests.kube_config.read_by_programs import model_server_flags, settings


@pytest.fixture(scope="module", params=["batching", "gpu"])
def batching(request, tmp_path_factory) -> list[Object]:
    return build_with(tmp_path_factory.mktemp(request.param), request.param)


def file_of(objects: list[Object]) -> str:
    """The text of the file that the flag names, as it is mounted."""
    arguments = container_of(objects, "model-server")["args"]
    assert "--enable_batching" in arguments  # else TensorFlow Serving refuses the file at its start
    (path,) = (Path(word.partition("=")[2]) for word in arguments if word.startswith("--batching_parameters_file="))
    (mount,) = (
        mount
        for mount in container_of(objects, "model-server")["volumeMounts"]
        if mount["mountPath"] == str(path.parent) and mount["readOnly"]
    )
    (volume,) = (volume for volume in pod_of(objects, "model-server")["volumes"] if volume["name"] == mount["name"])
    return one(objects, "ConfigMap", volume["configMap"]["name"])["data"][path.name]


@pytest.fixture
def parameters(batching) -> BatchingParameters:
    return text_format.Parse(file_of(batching), BatchingParameters())


def test_a_malformed_file_is_found(batching):
    text = file_of(batching)
    for broken in (text.replace("max_batch_size {", "max_batchsize {"), text.replace("value: 0", "value: soon")):
        assert broken != text
        with pytest.raises(text_format.ParseError):
            text_format.Parse(broken, BatchingParameters())


def test_tensorflow_serving_accepts_the_sizes(parameters):
    """Source: WrapSessionForBatching and CreateBatchingSession of tensorflow/serving 2.20.0."""
    sizes = list(parameters.allowed_batch_sizes)
    assert sizes == sorted(set(sizes))
    assert sizes[0] == 1  # a lone image is not filled up
    assert sizes[-1] == parameters.max_batch_size.value
    assert parameters.num_batch_threads.value >= 1


def test_every_call_of_a_gateway_fits(batching, parameters):
    assert parameters.max_batch_size.value >= settings(batching).max_images


def test_no_call_is_refused_because_many_wait(batching, parameters):
    """Each thread of the server has one call, and each call that waits fills a batch at most."""
    assert parameters.max_enqueued_batches.value >= model_server_flags(batching).grpc_max_threads


def test_a_lone_call_does_not_wait(parameters):
    assert parameters.HasField("batch_timeout_micros")
    assert parameters.batch_timeout_micros.value == 0
