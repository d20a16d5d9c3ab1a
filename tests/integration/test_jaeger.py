"""A real Jaeger takes both tiers' spans, and shows the model server's under the gateway's.

Its build takes minutes, so it is no part of make tools:

    go build -C tests/integration/jaeger -o "$PWD/.tools/jaeger" github.com/jaegertracing/jaeger/cmd/all-in-one
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from brain_tumor.processes import free_port, responds
from gateway.model.channel import METHOD
from tests import processes
from tests.integration.requests_ import example
from tests.processes import ROOT, wait_until

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SERVERS = ("collector.otlp.http", "collector.grpc-server", "collector.http-server", "query.grpc-server", "admin.http")


@dataclass(frozen=True)
class Jaeger:
    """A running Jaeger."""

    url: str
    endpoint: str

    def trace(self, trace_id: str) -> dict[str, Any]:
        """A trace; empty as long as there is none."""
        response = requests.get(f"{self.url}/api/traces/{trace_id}", timeout=10)
        return response.json()["data"][0] if response.status_code == 200 else {}


@pytest.fixture(scope="module")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    places = [str(ROOT / ".tools"), os.environ.get("PATH", os.defpath)]
    program = shutil.which("jaeger", path=os.pathsep.join(places)) or pytest.skip(
        "needs jaeger, which takes Go to build"
    )
    log = tmp_path_factory.mktemp("jaeger") / "log"
    query, otlp = free_port(), free_port()
    ports = {"query.http-server": query, "collector.otlp.grpc": otlp, **{name: free_port() for name in SERVERS}}
    command = [program, *(f"--{name}.host-port=127.0.0.1:{port}" for name, port in ports.items())]
    url = f"http://127.0.0.1:{query}"
    with processes.process(command, log) as child:
        processes.wait_until_up(child, lambda: responds(f"{url}/api/services"), log)
        yield Jaeger(url, f"http://127.0.0.1:{otlp}")


@contextlib.contextmanager
def traced_tiers(folder: Path, jaeger: Jaeger) -> Iterator[str]:
    """Both tiers with traces on; yields the gateway's address."""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with (
        processes.model_server(folder / "model-server", environment=environment) as model_server,
        processes.gateway(folder / "gateway", model_server.port, **environment) as gateway,
    ):
        yield gateway.url


def parents(trace: dict[str, Any]) -> dict[str, str]:
    """The id of each span's parent, by its own."""
    return {span["spanID"]: reference["spanID"] for span in trace["spans"] for reference in span["references"]}


def test_the_model_server_s_span_is_under_the_gateway_s(jaeger: Jaeger, tmp_path: Path) -> None:
    with traced_tiers(tmp_path, jaeger) as url:
        response = requests.post(
            f"{url}/predict?explain=true",
            files={"image": example("glioma")},
            headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
            timeout=30,
        )
        assert response.status_code == 200, response.text

    def complete() -> bool:
        return len([span for span in jaeger.trace(TRACE).get("spans", ()) if span["operationName"] == METHOD]) == 4

    wait_until(complete, "the trace")
    trace = jaeger.trace(TRACE)
    service = {span["spanID"]: trace["processes"][span["processID"]]["serviceName"] for span in trace["spans"]}
    assert set(service.values()) == {"brain-tumor-gateway", "portable-model-server"}
    tags = {span["spanID"]: {tag["key"]: tag["value"] for tag in span["tags"]} for span in trace["spans"]}
    served = [
        span["spanID"]
        for span in trace["spans"]
        if service[span["spanID"]] == "portable-model-server" and span["operationName"] == METHOD
    ]
    assert len(served) == 2  # what the model is, and the prediction
    above = parents(trace)
    for span in served:
        caller = above[span]
        assert service[caller] == "brain-tumor-gateway"
        assert tags[caller]["span.kind"] == "client"
        assert tags[span]["span.kind"] == "server"
        assert tags[caller]["model.version"] == tags[span]["model.version"] == 1
    name = {span["spanID"]: span["operationName"] for span in trace["spans"]}
    (request,) = [span for span in name if name[span] == "POST /predict"]
    assert above[request] == PARENT  # the client's own
    assert sorted(name[span] for span in name if above[span] == request) == sorted(
        ["source", METHOD, "preprocess", "predict", "postprocess"]
    )


def test_a_request_without_a_trace_of_its_own_is_found_by_its_service(jaeger: Jaeger, tmp_path: Path) -> None:
    with traced_tiers(tmp_path, jaeger) as url:
        assert requests.post(f"{url}/predict", files={"image": example("notumor")}, timeout=30).status_code == 200
    query = {
        "service": "brain-tumor-gateway",
        "operation": "POST /predict",
        "tags": '{"http.response.status_code":"200"}',
    }

    def found() -> list[dict[str, Any]]:
        return requests.get(f"{jaeger.url}/api/traces", query, timeout=10).json()["data"] or []

    wait_until(lambda: any(trace["traceID"] != TRACE for trace in found()), "the trace")
