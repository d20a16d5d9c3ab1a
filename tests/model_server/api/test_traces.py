"""The spans of calls: what they say, over gRPC and over REST, and what is theirs within."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from portable_model_server.__main__ import add_trace_id
from serving_api.services import PREDICTION_SERVICE
from tests.model_server.server_process import ServerProcess, predict_request
from tests.processes import wait_until
from tests.tracing.collector import SERVER, Collector, collector
from tracing.spans import Span, entered

X = np.array([1.0, 2.0], np.float32)
PREDICT = f"{PREDICTION_SERVICE.full_name}/Predict"
REST = "POST /v1/models/{model}:predict"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
DESCRIBED = {
    "model.name": "half",
    "model.version": 123,
    "model.signature": "serving_default",
    "model.engine": "openvino",
    "model.precision": "float32",
    "batch.rows": 2,
}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Collector]:
    with collector() as running:
        yield running


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, half_plus: Callable[..., Path], receiver: Collector
) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("traces")
    half_plus(folder / "half" / "00000123", 2.0)
    flags = ("--model_name=half", f"--model_base_path={folder / 'half'}")
    with ServerProcess(folder / "log", *flags, environment=receiver.environment) as server:
        yield server.ready()


@pytest.fixture(autouse=True)
def emptied(receiver: Collector) -> None:
    receiver.spans.clear()


def call(server: ServerProcess, metadata: dict[str, str], model: str = "half") -> None:
    request = predict_request(model, x=X)
    predict = server.channel.unary_unary(f"/{PREDICT}", request_serializer=type(request).SerializeToString)
    predict(request, timeout=30, metadata=tuple(metadata.items()))


def test_a_call_over_grpc(server: ServerProcess, receiver: Collector) -> None:
    call(server, SAMPLED)
    span = receiver.one(PREDICT)
    assert (span.service, span.kind) == ("portable-model-server", SERVER)
    assert (span.trace_id, span.parent_id, span.trace_state) == (TRACE, PARENT, "vendor=1")
    assert span.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": PREDICT,
        "rpc.response.status_code": "OK",
        **DESCRIBED,
    }
    engine = receiver.one("engine")
    assert engine.parent_id == span.span_id
    assert span.started <= engine.started <= engine.ended <= span.ended
    (compute,) = receiver.named("compute")
    assert compute.parent_id == engine.span_id
    assert compute.attributes == {"batch.calls": 1, "batch.rows": 2}


def test_a_call_over_rest(server: ServerProcess, receiver: Collector) -> None:
    assert server.post("half", {"inputs": [1.0, 2.0]}, SAMPLED).status == 200
    span = receiver.one(REST)
    assert (span.kind, span.trace_id, span.parent_id) == (SERVER, TRACE, PARENT)
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/models/{model}:predict",
        "http.response.status_code": 200,
        **DESCRIBED,
    }
    assert receiver.one("engine").parent_id == span.span_id


def test_a_call_without_a_parent_begins_a_trace(server: ServerProcess, receiver: Collector) -> None:
    call(server, {"traceparent": "nonsense"})
    span = receiver.one(PREDICT)
    assert span.parent_id == ""
    assert receiver.one("engine").trace_id == span.trace_id


def test_what_the_caller_does_not_sample_is_not_sent(server: ServerProcess, receiver: Collector) -> None:
    call(server, {"traceparent": f"00-{TRACE}-{PARENT}-00"})
    call(server, {})
    assert receiver.one(PREDICT).trace_id != TRACE


def test_names_that_callers_make_up_are_in_no_span(server: ServerProcess, receiver: Collector) -> None:
    with pytest.raises(grpc.RpcError):
        call(server, SAMPLED, model="doe")
    assert server.post("doe", {"inputs": [1.0]}, SAMPLED).status == 404
    over_grpc, over_rest = receiver.one(PREDICT), receiver.one(REST)
    assert over_grpc.attributes["rpc.response.status_code"] == "NOT_FOUND"
    assert over_rest.attributes["http.response.status_code"] == 404
    assert not over_grpc.failed and not over_rest.failed  # it is the caller's doing
    assert "doe" not in receiver.text


def test_an_engine_that_refuses_fails_its_own_span_alone(server: ServerProcess, receiver: Collector) -> None:
    request = predict_request("half", x=np.ones((2, 2, 2), np.float32))
    with pytest.raises(grpc.RpcError) as caught:
        server.prediction.Predict(request, timeout=30)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    span, engine = receiver.one(PREDICT), receiver.one("engine")
    assert (span.failed, engine.failed) == (False, True)
    assert span.attributes["rpc.response.status_code"] == "INVALID_ARGUMENT"
    assert engine.attributes == {"error.type": "InvalidInputError"}


def test_status_metadata_and_warmup_have_no_spans(server: ServerProcess, receiver: Collector) -> None:
    server.status("half")
    server.metadata("half")
    assert server.http("GET", "/v1/models/half").status == 200
    call(server, {})
    receiver.one(PREDICT)
    assert {span.name for span in receiver.spans} == {PREDICT, "engine", "compute"}


def test_the_last_spans_are_sent_at_the_end(
    tmp_path: Path, half_plus: Callable[..., Path], receiver: Collector
) -> None:
    half_plus(tmp_path / "half" / "123", 2.0)
    flags = ("--model_name=half", f"--model_base_path={tmp_path / 'half'}")
    environment = {**receiver.environment, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    with ServerProcess(tmp_path / "log", *flags, environment=environment) as server:
        call(server.ready(), {})
        assert not receiver.spans
        server.process.terminate()
        assert server.exit_code() == 0
    wait_until(lambda: len(receiver.named(PREDICT)) == 1, "the span")


def test_a_variable_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    flags = ("--model_name=half", f"--model_base_path={tmp_path}")
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}
    with ServerProcess(tmp_path / "log", *flags, environment=environment) as server:
        assert server.exit_code() == 255
        assert "Failed to start server. Error: OTEL_EXPORTER_OTLP_ENDPOINT=" in server.log


class Known(Span):
    """A span as far as the log is concerned."""

    trace_id = TRACE


def test_a_line_of_the_log_has_the_id_of_its_trace() -> None:
    def line() -> str:
        record = logging.makeLogRecord({"msg": "a call broke"})
        assert add_trace_id(record)
        return logging.Formatter("%(message)s%(trace)s").format(record)

    with entered(Known()):
        assert line() == f"a call broke [{TRACE}]"
    assert line() == "a call broke"
