"""Calls over REST that succeed, and the bounds of a call."""

import gzip
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import current_thread
from time import sleep
from typing import Any
from unittest.mock import Mock

import pytest

from portable_model_server.api import rest_requests
from portable_model_server.api.calls import CallRecorder
from portable_model_server.api.rest import RestLimits, create_app
from portable_model_server.api.rest_requests import JsonRequest
from portable_model_server.errors import invalid
from tests.model_server.server_process import Response, ServerProcess

LIMIT = 100_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, half_plus: Callable[..., Path]) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("rest_api")
    half_plus(folder / "half" / "1", 2.0)
    flags = ("--model_name=half", f"--model_base_path={folder / 'half'}", f"--max_message_bytes={LIMIT}")
    with ServerProcess(folder / "log", *flags) as server:
        yield server.ready()


def good(response: Response) -> Any:
    assert response.status == 200, response.body
    return response.json


def test_rows_and_columns(server: ServerProcess) -> None:
    assert good(server.post("half", {"instances": [1.0, 2.0, 5.0]})) == {"predictions": [2.5, 3.0, 4.5]}
    assert good(server.post("half", {"inputs": [1.0, 2.0, 5.0]})) == {"outputs": [2.5, 3.0, 4.5]}
    assert good(server.post("half", {"inputs": {"x": [1]}})) == {"outputs": [2.5]}
    assert good(server.post("half", {"instances": [{"x": 1}]})) == {"predictions": [2.5]}
    assert good(server.post("half", {"inputs": []})) == {"outputs": []}


def test_a_text_for_each_row(server: ServerProcess) -> None:
    rows = {"signature_name": "describe_rows"}
    assert good(server.post("half", {**rows, "instances": [1, 2]})) == {"predictions": ["adds 2.0"] * 2}
    assert good(server.post("half", {**rows, "inputs": {"x": [1]}})) == {"outputs": ["adds 2.0"]}
    assert good(server.post("half", {**rows, "inputs": []})) == {"outputs": []}


def test_numbers(server: ServerProcess) -> None:
    response = server.post("half", b'{"instances": [0.2, NaN, Infinity, -Inf, 1e39]}')
    assert response.body == b'{"predictions": [2.1, NaN, Infinity, -Infinity, Infinity]}'


def test_paths(server: ServerProcess) -> None:
    body = {"signature_name": "serving_default", "instances": [1]}
    for path in (
        "/v1/models/half:predict",
        "/v1/models/h%61lf/versions/1:predict",
        "/V1/Models/half/VERSIONS/1:predict",
    ):
        assert good(server.http("POST", path, body)) == {"predictions": [2.5]}
    assert "model_version_status" in good(server.http("GET", "/V1/MODELS/half/METADATA"))


def test_what_follows_the_document(server: ServerProcess) -> None:
    assert good(server.post("half", b'{"instances": [1]} and more')) == {"predictions": [2.5]}


def test_web_pages_of_other_origins(server: ServerProcess, odd_server: ServerProcess) -> None:
    """Without the flag a browser is told nothing that would let a page read a response."""
    allowed = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "POST, GET",
        "Access-Control-Allow-Headers": "Content-Type",
    }

    def cors(response: Response) -> dict[str, str]:
        return {name: value for name, value in response.headers.items() if name.startswith("Access-Control")}

    page = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    for one, expected in ((server, {}), (odd_server, allowed)):
        for origin, status in (("https://page.example", 200), ("http://page.example", 200), ("null", 400)):
            preflight = one.http("OPTIONS", "/v1/models/odd:predict", headers={**page, "Origin": origin})
            assert (preflight.status, cors(preflight)) == (status, expected)
        assert cors(one.http("GET", "/v1/models/odd", headers=page)) == expected
        assert cors(one.http("GET", "/v1/foo", headers=page)) == expected
        assert not cors(one.http("GET", "/foo", headers=page))


def test_any_content_type(server: ServerProcess) -> None:
    for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert server.post("half", {"instances": [1]}, {"Content-Type": kind}).status == 200


def test_status(server: ServerProcess) -> None:
    expected = {
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    for path in ("", "/versions/1", "/labels/none"):
        assert good(server.http("GET", f"/v1/models/half{path}")) == expected


def test_metadata(server: ServerProcess) -> None:
    for path in ("", "/versions/1"):
        document = good(server.http("GET", f"/v1/models/half{path}/metadata"))
        assert document["model_spec"] == {"name": "half", "signature_name": "", "version": "1"}
        signatures = document["metadata"]["signature_def"]["signature_def"]
        assert signatures["serving_default"]["inputs"]["x"] == {
            "name": "x:0",
            "dtype": "DT_FLOAT",
            "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        }


def test_gzip(server: ServerProcess) -> None:
    body = gzip.compress(json.dumps({"instances": [1]}).encode())
    assert good(server.post("half", body, {"Content-Encoding": "gzip"})) == {"predictions": [2.5]}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"no gzip", 400, id="other bytes"),
        pytest.param(gzip.compress(b'{"instances": [1]}')[:-4], 400, id="cut off"),
        pytest.param(gzip.compress(b" " * 10_000_000), 413, id="too large"),
    ],
)
def test_bad_gzip(server: ServerProcess, body: bytes, status: int) -> None:
    response = server.post("half", body, {"Content-Encoding": "gzip"})
    assert response.status == status
    assert response.json["error"]


def test_a_signature_that_no_text_can_name(server: ServerProcess) -> None:
    assert server.post("half", b'{"signature_name": "\\ud800", "instances": [1]}').status == 400


def test_bodies_are_bounded(server: ServerProcess) -> None:
    assert server.post("half", b" " * (LIMIT + 1)).status == 413
    assert server.post("half", b'{"instances": [1]' + b" " * (LIMIT - 50) + b"}").status == 200


def test_strings(odd_server: ServerProcess) -> None:
    assert good(odd_server.post("odd", {"instances": ["é", {"b64": "/w=="}]})) == {
        "predictions": [{"echo": "é", "echo_bytes": {"b64": "w6k="}}, {"echo": "\ufffd", "echo_bytes": {"b64": "/w=="}}]
    }


def test_several_inputs_and_outputs(odd_server: ServerProcess) -> None:
    rows = {"signature_name": "pair", "instances": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}
    assert good(odd_server.post("odd", rows)) == {
        "predictions": [{"difference": -1.0, "sum": 3.0}, {"difference": -1.0, "sum": 7.0}]
    }
    columns = {"signature_name": "pair", "inputs": {"a": [1, 3], "b": [2, 4]}}
    assert good(odd_server.post("odd", columns)) == {"outputs": {"difference": [-1.0, -1.0], "sum": [3.0, 7.0]}}


def test_scalars_have_no_rows(odd_server: ServerProcess) -> None:
    assert good(odd_server.post("odd", {"signature_name": "scalar", "inputs": [1, 2]})) == {"outputs": 3.0}
    response = odd_server.post("odd", {"signature_name": "scalar", "instances": [1, 2]})
    assert (response.status, response.json) == (400, {"error": "Tensor name: total has no shape information "})
    response = odd_server.post("odd", {"signature_name": "uneven", "instances": [1, 2]})
    assert response.status == 400
    assert "inconsistent batch size" in response.json["error"]


def test_other_dtypes(odd_server: ServerProcess) -> None:
    response = good(odd_server.post("odd", {"signature_name": "whole", "instances": [1, 2]}))
    assert response == {"predictions": [{"even": False, "wide": 1}, {"even": True, "wide": 2}]}


def test_a_prediction_that_takes_too_long(odd_server: ServerProcess) -> None:
    response = odd_server.post("odd", {"signature_name": "slow", "inputs": [200_000]})
    assert response.status == 504
    assert response.json == {"error": "Timed out waiting for notification"}


def test_bodies_are_parsed_by_the_threads_of_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    """So at most as many are parsed, or held parsed, as predictions may run; the time limit is for predictions."""
    threads = []

    def parse(body: bytes) -> JsonRequest:
        threads.append(current_thread().name)
        sleep(0.3)
        return JsonRequest({"inputs": body.decode()}, "")

    monkeypatch.setattr(rest_requests, "parse", parse)
    manager = Mock()
    manager.hold.side_effect = invalid("no such model")
    with ThreadPoolExecutor(1, thread_name_prefix="prediction") as executor:
        app = create_app(
            manager,
            Mock(),
            CallRecorder(manager, Mock()),
            lambda: b"",
            metrics_path=None,
            limits=RestLimits(LIMIT, prediction_s=0.1),
            executor=executor,
            cors=False,
        )
        response = app.test_client().post("/v1/models/half:predict", data=b"{}")
    assert (response.status_code, response.json) == (400, {"error": "no such model"})
    assert threads == ["prediction_0"]
