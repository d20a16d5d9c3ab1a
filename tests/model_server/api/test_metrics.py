"""The metrics page."""

import re
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest

from portable_model_server.api.metrics import UNKNOWN_MODEL
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
    assert page[latency + "_bucket", frozenset({*over_grpc, 'le="10.0"'})] == 0
    runtime = ":tensorflow:serving:runtime_latency_count"
    assert page[runtime, frozenset({model, 'API="Predict"', 'runtime="openvino"'})] == 3
