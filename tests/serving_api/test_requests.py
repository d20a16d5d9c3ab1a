import numpy as np
import pytest

from serving_api.messages import PredictRequest
from serving_api.requests import predict_request, serialized_predict_request
from serving_api.tensors import TensorError


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(1, 2, 3, 3), (2, 299, 299, 3), (0, 3), (5,)])
@pytest.mark.parametrize("parts", [1, 3])
def test_its_bytes_are_those_of_the_message(dtype, shape, parts):
    arrays = [(np.arange(np.prod(shape)) + part).reshape(shape).astype(dtype) for part in range(parts)]
    data = serialized_predict_request("brain-tumor", "serving_default", "images", arrays, ("probabilities", "ood"))
    message = predict_request(
        "brain-tumor", "serving_default", {"images": np.concatenate(arrays)}, ("probabilities", "ood")
    )
    assert PredictRequest.FromString(data) == message


def test_parts_that_are_not_contiguous():
    array = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)[:, ::-1, :, ::2]
    data = serialized_predict_request("model", "signature", "images", [array], ())
    assert PredictRequest.FromString(data) == predict_request("model", "signature", {"images": array})


def test_a_dtype_without_a_counterpart():
    with pytest.raises(TensorError):
        serialized_predict_request("model", "signature", "images", [np.zeros(2, np.complex64)], ())


@pytest.mark.parametrize("version", [None, 7, "next"])
def test_the_version_is_a_number_or_a_label_or_left_to_the_server(version):
    pixels = np.zeros((1, 2, 2, 3), np.uint8)
    data = serialized_predict_request("model", "signature", "images", [pixels], (), version)
    spec = PredictRequest.FromString(data).model_spec
    chosen = spec.WhichOneof("version_choice")
    assert {None: None, "version": spec.version.value, "version_label": spec.version_label}[chosen] == version
    assert PredictRequest.FromString(data) == predict_request("model", "signature", {"images": pixels}, (), version)
