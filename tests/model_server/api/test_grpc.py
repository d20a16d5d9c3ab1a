"""Calls over gRPC that succeed, and the bounds of a call."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving_api.messages import SignatureDefMap
from serving_api.tensors import from_array, to_array
from tests.model_server.server_process import ServerProcess, predict_request
from tests.processes import wait_until

X = np.array([1.0, 2.0], np.float32)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, half_plus: Callable[..., Path]) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("grpc_api")
    half_plus(folder / "half" / "00000123", 2.0)
    flags = (
        "--model_name=half",
        f"--model_base_path={folder / 'half'}",
        "--enable_grpc_healthcheck_service",
        "--max_message_bytes=100000",
        "--grpc_channel_arguments=grpc.max_connection_age_ms=600000,grpc.lb_policy_name=grpclb",
        f"--grpc_socket_path={folder / 'socket'}",
        "--enable_profiler=true",
        "--not_a_flag=1",
    )
    with ServerProcess(folder / "log", *flags) as server:
        yield server.ready()


def test_predict(server: ServerProcess) -> None:
    response = server.predict("half", x=X)
    assert response.model_spec.name == "half"
    assert response.model_spec.version.value == 123
    assert response.model_spec.signature_name == "serving_default"
    assert list(response.outputs["y"].float_val) == [2.5, 3.0]
    assert not response.outputs["y"].tensor_content


def test_typed_fields_and_repeated_values_are_read_too(server: ServerProcess) -> None:
    typed = from_array(X, typed_fields=True)
    assert list(server.predict("half", x=typed).outputs["y"].float_val) == [2.5, 3.0]
    del typed.float_val[1:]
    assert list(server.predict("half", x=typed).outputs["y"].float_val) == [2.5, 2.5]


def test_a_version_by_number(server: ServerProcess) -> None:
    assert list(server.predict("half", version=123, x=X).outputs["y"].float_val) == [2.5, 3.0]


def test_a_signature_without_inputs(server: ServerProcess) -> None:
    response = server.predict("half", signature="describe")
    assert response.model_spec.signature_name == "describe"
    assert to_array(response.outputs["card"]).item() == b"adds 2.0"


def test_a_text_for_each_row(server: ServerProcess) -> None:
    response = server.predict("half", signature="describe_rows", x=X)
    assert to_array(response.outputs["card"]).tolist() == [b"adds 2.0"] * 2


def test_an_empty_batch(server: ServerProcess) -> None:
    assert to_array(server.predict("half", signature="describe_rows", x=X[:0]).outputs["card"]).shape == (0,)
    assert to_array(server.predict("half", x=X[:0]).outputs["y"]).shape == (0,)


def test_status(server: ServerProcess) -> None:
    assert server.status("half") == {123: 30}
    assert server.status("half", 123) == {123: 30}


def test_metadata(server: ServerProcess) -> None:
    response = server.metadata("half")
    assert (response.model_spec.name, response.model_spec.version.value) == ("half", 123)
    signatures = SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def) == {"serving_default", "describe", "describe_rows"}
    default = signatures.signature_def["serving_default"]
    assert (default.inputs["x"].name, default.inputs["x"].dtype) == ("x:0", 1)
    assert [dim.size for dim in default.inputs["x"].tensor_shape.dim] == [-1]
    assert default.method_name == "tensorflow/serving/predict"


@pytest.mark.parametrize("name", ["", "ModelService", "PredictionService"])
def test_health(server: ServerProcess, name: str) -> None:
    health = health_pb2_grpc.HealthStub(server.channel)
    response = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
    assert response.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_the_unknown(server: ServerProcess) -> None:
    health = health_pb2_grpc.HealthStub(server.channel)
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(health_pb2.HealthCheckRequest(service="tensorflow.serving.PredictionService"), timeout=10)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_unix_socket(server: ServerProcess) -> None:
    socket = Path(server.log.split("unix:")[1].split(" ")[0])
    assert socket.is_socket()
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        request = predict_request("half", x=X)
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        assert call(request.SerializeToString(), timeout=10)


def test_messages_are_bounded(server: ServerProcess) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        server.predict("half", x=np.zeros(30_000, np.float32))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert server.predict("half", x=np.zeros(20_000, np.float32))


def test_flags_without_effect_are_logged(server: ServerProcess) -> None:
    assert "unknown argument: --not_a_flag=1" in server.log
    assert "--enable_profiler has no effect here" in server.log


def test_tensor_content_on_request(odd_server: ServerProcess) -> None:
    response = odd_server.predict("odd", signature="whole", whole=np.array([1, 2], np.int32))
    assert not response.outputs["wide"].int64_val
    assert to_array(response.outputs["wide"]).tolist() == [1, 2]
    assert to_array(response.outputs["even"]).tolist() == [False, True]


def test_strings(odd_server: ServerProcess) -> None:
    response = odd_server.predict("odd", text=np.array([b"a", b"\xff"], dtype=object))
    assert list(response.outputs["echo"].string_val) == [b"a", b"\xff"]


def test_only_the_outputs_asked_for(odd_server: ServerProcess) -> None:
    a = np.array([1.0], np.float32)
    assert set(odd_server.predict("odd", signature="pair", a=a, b=a).outputs) == {"sum", "difference"}
    assert set(odd_server.predict("odd", ("sum",), signature="pair", a=a, b=a).outputs) == {"sum"}


def test_calls_at_once_are_bounded(tmp_path: Path, slow_base: Path) -> None:
    """While two calls run, a third one is refused at once; once they have ended, calls are taken again."""
    slow = predict_request("slow", x=np.ones(2_000, np.float32))
    flags = ("--model_name=slow", f"--model_base_path={slow_base}", "--grpc_max_threads=2")
    with ServerProcess(tmp_path / "log", *flags) as server, ThreadPoolExecutor(2) as pool:
        server.ready()
        busy = [pool.submit(server.insist, slow) for _ in range(2)]
        wait_until(lambda: server.full("slow"), "two calls under way")
        with pytest.raises(grpc.RpcError) as caught:
            server.prediction.Predict(slow, timeout=60)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert caught.value.details() == "Server Threadpool Exhausted"
        for call in busy:
            assert call.result()
        assert server.metadata("slow")
