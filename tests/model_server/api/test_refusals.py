"""Each refusal over gRPC and REST, with TensorFlow Serving's code, status and message."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from serving_api.messages import GetModelMetadataRequest, GetModelStatusRequest, PredictRequest, TensorProto
from serving_api.tensors import to_array
from tests.model_server.server_process import ServerProcess, predict_request

X = np.array([1.0, 2.0], np.float32)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, half_plus: Callable[..., Path]) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("errors")
    half_plus(folder / "half" / "7", 2.0)
    with ServerProcess(folder / "log", "--model_name=half", f"--model_base_path={folder / 'half'}") as server:
        yield server.ready()


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code().name, caught.value.details()


PREDICT = [
    ({"model": "x"}, "NOT_FOUND", "Servable not found for request: Latest(x)"),
    ({"version": 9}, "NOT_FOUND", "Servable not found for request: Specific(half, 9)"),
    ({"model": "x", "version": 9}, "NOT_FOUND", "Servable not found for request: Specific(x, 9)"),
    ({"version": 0}, "NOT_FOUND", "Servable not found for request: Specific(half, 0)"),
    ({"label": "new"}, "INVALID_ARGUMENT", "Unrecognized servable version label: new"),
    ({"model": ""}, "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    ({"signature": "x"}, "FAILED_PRECONDITION", 'Serving signature key "x" not found.'),
    (
        {"inputs": {"z": X}},
        "INVALID_ARGUMENT",
        "Signature input alias: x(feed name: x:0) not found in request and no default value provided. Inputs expected "
        "to be in the request {z}, or default input alias set: ",
    ),
    (
        {"inputs": {"x": X, "z": X}},
        "INVALID_ARGUMENT",
        "input size does not match signature: 2!=1 len({x,z}) != len({x}). Sent extra: {z}. Missing but required: {}.",
    ),
    (
        {"inputs": {}},
        "INVALID_ARGUMENT",
        "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
    ),
    ({"inputs": {"x": X.astype(np.uint8)}}, "INVALID_ARGUMENT", "Expects arg[0] to be float but uint8 is provided"),
    (
        {"inputs": {"x": X}, "outputs": ("z",)},
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
    ),
    ({"inputs": {"x": X}, "outputs": ("y", "y")}, "INVALID_ARGUMENT", "duplicate output tensor alias: y"),
]


@pytest.mark.parametrize(("call", "code", "message"), PREDICT, ids=[message[:50] for _, _, message in PREDICT])
def test_predict(server: ServerProcess, call: dict[str, Any], code: str, message: str) -> None:
    call = {"model": "half", "inputs": {"x": X}, **call}
    request = predict_request(call.pop("model"), call.pop("outputs", ()), **call.pop("inputs"), **call)
    assert refusal(lambda: server.prediction.Predict(request, timeout=10)) == (code, message)


def test_a_tensor_that_is_none(server: ServerProcess) -> None:
    broken = TensorProto(dtype=1, tensor_content=b"abc")
    broken.tensor_shape.dim.add(size=1)
    code, message = refusal(lambda: server.predict("half", x=broken))
    assert code == "INVALID_ARGUMENT"
    assert message.startswith("tensor parsing error: x")


def test_requests_without_a_model_spec(server: ServerProcess) -> None:
    missing = ("INVALID_ARGUMENT", "Missing ModelSpec")
    assert refusal(lambda: server.prediction.Predict(PredictRequest(), timeout=10)) == missing
    assert refusal(lambda: server.model.GetModelStatus(GetModelStatusRequest(), timeout=10)) == missing
    assert refusal(lambda: server.prediction.GetModelMetadata(GetModelMetadataRequest(), timeout=10)) == missing


def test_status_of_the_unknown(server: ServerProcess) -> None:
    assert refusal(lambda: server.status("x")) == ("NOT_FOUND", "Could not find any versions of model x")
    assert refusal(lambda: server.status("half", 9)) == ("NOT_FOUND", "Could not find version 9 of model half")


def test_metadata_of_the_unknown(server: ServerProcess) -> None:
    assert refusal(lambda: server.metadata("x")) == ("NOT_FOUND", "Servable not found for request: Latest(x)")
    assert refusal(lambda: server.metadata("half", "weather"))[0] == "INVALID_ARGUMENT"


@pytest.mark.parametrize("method", ["Classify", "Regress", "MultiInference"])
def test_methods_not_implemented(server: ServerProcess, method: str) -> None:
    call = server.channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}")
    assert refusal(lambda: call(b"", timeout=10))[0] == "UNIMPLEMENTED"


def test_reloading_by_call_is_not_implemented(server: ServerProcess) -> None:
    call = server.channel.unary_unary("/tensorflow.serving.ModelService/HandleReloadConfigRequest")
    assert refusal(lambda: call(b"", timeout=10))[0] == "UNIMPLEMENTED"


def test_no_health_service_without_its_flag(server: ServerProcess) -> None:
    call = server.channel.unary_unary("/grpc.health.v1.Health/Check")
    assert refusal(lambda: call(b"", timeout=10))[0] == "UNIMPLEMENTED"


def test_what_the_graph_refuses_is_cut(odd_server: ServerProcess) -> None:
    code, message = refusal(lambda: odd_server.predict("odd", signature="roots", a=np.array([-1.0], np.float32)))
    assert code == "INVALID_ARGUMENT"
    assert "negative" in message
    assert message.endswith("...TRUNCATED")
    assert len(message) == 1024 + len("...TRUNCATED")


def test_defaults_fill_missing_inputs(odd_server: ServerProcess) -> None:
    response = odd_server.predict("odd", signature="defaulted", a=np.array([1.0, 2.0], np.float32))
    assert to_array(response.outputs["sum"]).tolist() == [11.0, 12.0]
    code, message = refusal(lambda: odd_server.predict("odd", signature="defaulted", b=np.array([1.0], np.float32)))
    assert code == "INVALID_ARGUMENT"
    assert message.endswith("{b}, or default input alias set: b")


HALF = "/v1/models/half"
PREDICT_PATH = HALF + ":predict"
REST = [
    ("POST", "/v1/models/x:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(x)"),
    ("POST", HALF + "/versions/9:predict", {"instances": [1]}, 404,
     "Servable not found for request: Specific(half, 9)"),
    ("POST", HALF + "/labels/new:predict", {"instances": [1]}, 400, "Unrecognized servable version label: new"),
    ("POST", PREDICT_PATH, {"signature_name": "x", "inputs": 1}, 400,
     'Serving signature name: "x" not found in signature def'),
    ("POST", PREDICT_PATH, {"signature_name": 1, "instances": [1]}, 400, "'signature_name' key must be a string value"),
    ("POST", PREDICT_PATH, {"signature_name": "describe", "inputs": 1}, 400,
     "Failed to get input map for signature: describe"),
    # A model that does not exist is said before what is wrong with the body, but for a body that is no JSON.
    ("POST", "/v1/models/x:predict", {"instances": 1, "inputs": 2}, 404, "Servable not found for request: Latest(x)"),
    ("POST", HALF + "/labels/new:predict", {}, 400, "Unrecognized servable version label: new"),
    ("POST", PREDICT_PATH, {"signature_name": "x"}, 400, 'Serving signature name: "x" not found in signature def'),
    ("POST", "/v1/models/x:predict", b"{", 400, "JSON Parse error: Missing a name for object member. at offset: 1"),
    ("POST", "/v1/models/x:predict", {"signature_name": 1}, 400, "'signature_name' key must be a string value"),
    ("POST", PREDICT_PATH, {"instances": []}, 400, "No values in 'instances' array"),
    ("POST", PREDICT_PATH, {"instances": 1}, 400, "Expecting 'instances' to be an list/array"),
    ("POST", PREDICT_PATH, {"instances": [[1, 2], [3]]}, 400, "Expecting tensor size: 2 but got: 1"),
    ("POST", PREDICT_PATH, {"inputs": {"z": [1]}}, 400, "Missing named input: x in 'inputs' object."),
    ("POST", PREDICT_PATH, {"inputs": ["a"]}, 400, '"a" Type: String is not of expected type: float'),
    ("POST", PREDICT_PATH, {"instances": [1], "inputs": [1]}, 400, "only one of 'inputs' or 'instances'"),
    ("POST", PREDICT_PATH, {}, 400, "Missing 'inputs' or 'instances' key"),
    ("POST", PREDICT_PATH, [1], 400, "Is not object"),
    ("POST", PREDICT_PATH, b"{", 400, "JSON Parse error: "),
    ("POST", PREDICT_PATH, b"", 400, "JSON Parse error: The document is empty"),
    ("POST", PREDICT_PATH, b"[" * 100_000, 400, "JSON Parse error: "),
    ("POST", PREDICT_PATH, b"\xff\xfe\x00", 400, "JSON Parse error: "),
    ("POST", "/v1/models/half:classify", {"examples": [{"x": 1}]}, 501, "does not implement classify"),
    ("POST", "/v1/models/half:regress", {"examples": [{"x": 1}]}, 501, "does not implement regress"),
    ("POST", "/v1/models/half", {"instances": [1]}, 400, "Malformed request: POST /v1/models/half"),
    ("GET", PREDICT_PATH, None, 400, "Malformed request: GET /v1/models/half:predict"),
    ("PUT", PREDICT_PATH, {"instances": [1]}, 400, "Malformed request: PUT /v1/models/half:predict"),
    ("POST", HALF + ":Predict", {"instances": [1]}, 400, "Malformed request: POST /v1/models/half:Predict"),
    ("POST", PREDICT_PATH + "?a=b", {"instances": [1]}, 400, "Malformed request: POST /v1/models/half:predict?a=b"),
    ("GET", HALF + "?a=b", None, 404, "Could not find any versions of model half?a=b"),
    ("GET", "/v1/models/a%2Fb%3A", None, 404, "Could not find any versions of model a/b:"),
    ("OPTIONS", PREDICT_PATH, None, 400, "Origin header is missing in CORS preflight"),
    ("GET", "/v1/", None, 400, "Malformed request: GET /v1/"),
    ("GET", "/v1/foo", None, 400, "Malformed request: GET /v1/foo"),
    ("GET", "/v1/models", None, 400, "Missing model name in request."),
    ("GET", "/v1/models/x", None, 404, "Could not find any versions of model x"),
    ("GET", "/v1/models/half/versions/9", None, 404, "Could not find version 9 of model half"),
    ("GET", "/v1/models/x/metadata", None, 404, "Servable not found for request: Latest(x)"),
    ("GET", "/v1/models/half/versions/99999999999999999999", None, 400, "Failed to convert version: "),
    ("GET", "/", None, 404, "Not Found"),
    ("OPTIONS", "/statuspage", None, 404, "Not Found"),
    ("GET", "/monitoring/prometheus/metrics", None, 404, "Not Found"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status", "message"), REST)
def test_rest(server: ServerProcess, method: str, path: str, body: Any, status: int, message: str) -> None:
    response = server.http(method, path, body)
    assert response.status == status
    assert list(response.json) == ["error"]
    assert message in response.json["error"]
    assert len(response.body) < 1000


NAME = "n" * 300
LONG = [
    ("POST", f"/v1/models/{NAME}:predict", {"instances": [1]}, "Servable not found for request: Latest("),
    ("GET", f"/v1/models/{NAME}", None, "Could not find any versions of model "),
    ("GET", f"/v1/models/{NAME}/metadata", None, "Servable not found for request: Latest("),
    ("POST", f"{HALF}/labels/{NAME}:predict", {"instances": [1]}, "Unrecognized servable version label: "),
    ("GET", f"{HALF}/versions/{'9' * 300}", None, "Failed to convert version: "),
    ("GET", f"/v1/{NAME}", None, "Malformed request: GET /v1/"),
    ("POST", PREDICT_PATH, {"signature_name": NAME, "inputs": 1}, 'Serving signature name: "'),
    ("POST", PREDICT_PATH, {"instances": [{NAME: 1}]}, "Failed to process element: 0 key: "),
]


@pytest.mark.parametrize(("method", "path", "body", "start"), LONG, ids=[start for *_, start in LONG])
def test_a_long_name_is_cut(server: ServerProcess, method: str, path: str, body: Any, start: str) -> None:
    error = server.http(method, path, body).json["error"]
    assert error.startswith(start)
    repeated = error.removeprefix(start).partition("...")[0]
    assert 190 < len(repeated) <= 200
    assert len(set(repeated)) == 1
    assert len(error) < 600
