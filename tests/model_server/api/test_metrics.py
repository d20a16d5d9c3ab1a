"""The metrics page."""

import re
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from portable_model_server.api.metrics import UNKNOWN_MODEL, Metrics
from tests.model_server.server_process import ServerProcess

SAMPLE = re.compile(r"([a-zA-Z_:]+)\{(.*)\} ([0-9.e+]+|\+Inf)")


def samples(page: str) -> dict[tuple[str, frozenset[str]], float]:
    matches = [match for line in page.splitlines() if (match := SAMPLE.fullmatch(line))]
    return {(match[1], frozenset(match[2].split(","))): float(match[3]) for match in matches}


def test_requests_are_counted_and_timed(tmp_path: Path, half_plus: Callable[..., Path]) -> None:
    half_plus(tmp_path / "half" / "1", 2.0)
    (tmp_path / "monitoring").write_text('prometheus_config { enable: true, path: "/some/metrics" }')
    flags = ("--model_name=half", f"--model_base_path={tmp_path / 'half'}")
    with ServerProcess(tmp_path / "log", *flags, f"--monitoring_config_file={tmp_path / 'monitoring'}") as server:
        server.ready()
        server.predict("half", x=np.array([1.0], np.float32))
        for model in ("x", "y"):
            with pytest.raises(grpc.RpcError):
                server.predict(model, x=np.array([1.0], np.float32))
        for body in ({"instances": [1]}, {"instances": [2]}, {"instances": ["a"]}):
            server.post("half", body)
        response = server.http("GET", "/some/metrics")
        assert server.http("GET", "/monitoring/prometheus/metrics").status == 404
    assert response.status == 200
    page = samples(response.body.decode())
    count, latency = ":tensorflow:serving:request_count", ":tensorflow:serving:request_latency"
    model = 'model_name="half"'
    assert page[count, frozenset({model, 'status="OK"'})] == 3
    assert page[count, frozenset({model, 'status="INVALID_ARGUMENT"'})] == 1
    # Callers cannot fill the page with names that they make up.
    assert page[count, frozenset({f'model_name="{UNKNOWN_MODEL}"', 'status="NOT_FOUND"'})] == 2
    over_grpc = {model, 'API="Predict"', 'entrypoint="GRPC"'}
    over_rest = {model, 'API="predict"', 'entrypoint="REST"'}
    assert page[latency + "_count", frozenset(over_grpc)] == 1
    assert page[latency + "_count", frozenset(over_rest)] == 2
    assert page[latency + "_bucket", frozenset({*over_grpc, 'le="+Inf"'})] == 1
    # Microseconds: no call takes less than 10 of them.
    assert page[latency + "_bucket", frozenset({*over_grpc, 'le="10"'})] == 0
    runtime = ":tensorflow:serving:runtime_latency_count"
    assert page[runtime, frozenset({model, 'API="Predict"', 'runtime="openvino"'})] == 3


def test_the_form_of_the_page() -> None:
    """As TensorFlow Serving writes it: no suffix, no help, limits of six digits, a value at a limit above it."""
    metrics = Metrics()
    for microseconds in (5, 10, 200):
        metrics.observe_request('"half\\"', "OK", "Predict", "GRPC", microseconds / 1e6)
    metrics.observe_request("half", "NOT_FOUND", "Predict", "GRPC", 1)
    lines = metrics.page().decode().splitlines()
    count, latency = ":tensorflow:serving:request_count", ":tensorflow:serving:request_latency"
    assert lines[:4] == [
        f"# TYPE {count} counter",
        count + '{model_name="\\"half\\\\\\"",status="OK"} 3',
        count + '{model_name="half",status="NOT_FOUND"} 1',
        f"# TYPE {latency} histogram",
    ]
    labels = 'model_name="\\"half\\\\\\"",API="Predict",entrypoint="GRPC"'
    buckets = [line for line in lines if line.startswith(latency + "_bucket")]
    assert buckets[:7] == [
        f'{latency}_bucket{{{labels},le="{limit}"}} {count}'
        for limit, count in zip(
            ["10", "18", "32.4", "58.32", "104.976", "188.957", "340.122"], [1, 2, 2, 2, 2, 2, 3], strict=True
        )
    ]
    assert len(buckets) == 34
    assert buckets[-1] == f'{latency}_bucket{{{labels},le="+Inf"}} 3'
    assert f"{latency}_sum{{{labels}}} 215.0" in lines
    assert f"{latency}_count{{{labels}}} 3" in lines
    assert lines[-1] == "# TYPE :tensorflow:serving:runtime_latency histogram"


def test_what_a_parser_reads_of_the_page() -> None:
    metrics = Metrics()
    metrics.observe_request("half", "OK", "Predict", "GRPC", 1e-3)
    metrics.observe_engine("half", "tensorflow", 1e-4)
    metrics.observe_engine("half", "openvino", 1e-4)
    families = {family.name: family for family in text_string_to_metric_families(metrics.page().decode())}
    assert [family.type for family in families.values()] == ["counter", "histogram", "histogram"]
    samples = families[":tensorflow:serving:runtime_latency"].samples
    # TensorFlow Serving calls TensorFlow's sessions so.
    assert {sample.labels["runtime"] for sample in samples} == {"TF1", "openvino"}
