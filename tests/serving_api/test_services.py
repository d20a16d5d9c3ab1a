from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from serving_api.messages import GetModelStatusRequest, PredictRequest, PredictResponse
from serving_api.services import MODEL_SERVICE, PREDICTION_SERVICE, ModelStub, PredictionStub, handler


class Echo:
    def Predict(self, request, context):  # noqa: N802 - the API's name
        response = PredictResponse()
        response.model_spec.CopyFrom(request.model_spec)
        return response


@contextmanager
def channel_to(*handlers: grpc.GenericRpcHandler) -> Iterator[grpc.Channel]:
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        server.stop(None).wait()


def test_a_call_reaches_the_servicer_and_comes_back():
    with channel_to(handler(PREDICTION_SERVICE, Echo())) as channel:
        request = PredictRequest()
        request.model_spec.name = "brain-tumor"
        response = PredictionStub(channel).Predict(request, timeout=10)
    assert response.model_spec.name == "brain-tumor"


def test_the_path_is_the_official_one():
    with channel_to(handler(PREDICTION_SERVICE, Echo())) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        assert call(b"\x0a\x03\x0a\x01m", timeout=10) == b"\x12\x03\x0a\x01m"


def test_a_method_that_the_servicer_lacks_is_unimplemented():
    with (
        channel_to(handler(MODEL_SERVICE, Echo())) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        ModelStub(channel).GetModelStatus(GetModelStatusRequest(), timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_stub_has_the_service_s_methods_and_no_others():
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        stub = PredictionStub(channel)
        with pytest.raises(AttributeError, match="GetModelStatus"):
            stub.GetModelStatus  # noqa: B018
