"""One trace through both tiers as processes; and nothing of OpenTelemetry where traces are off."""

import contextlib
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from brain_tumor.processes import free_port, listens, model_server_command
from gateway.model.channel import METHOD
from tests import processes
from tests.integration.requests_ import example, predict
from tests.processes import SHIPPED_MODEL, Server, wait_until
from tests.tracing.collector import CLIENT, SERVER, Collector, collector

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
GATEWAY, MODEL_SERVER = "brain-tumor-gateway", "portable-model-server"
# Runs a module and writes the names of OpenTelemetry's modules, as they are imported, into a file; forks do so, too.
RECORDING = """
import runpy, sys
module, file, *sys.argv[1:] = sys.argv[1:]
def note(event, arguments):
    if event == "import" and arguments[0].partition(".")[0] == "opentelemetry":
        with open(file, "a") as names:
            names.write(arguments[0] + "\\n")
sys.addaudithook(note)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def receiver() -> Iterator[Collector]:
    with collector() as running:
        yield running


@contextlib.contextmanager
def tiers(folder: Path, model_server: dict[str, str], gateway: dict[str, str]) -> Iterator[tuple[Server, Path, Path]]:
    """Both tiers, with more variables each; the gateway, and the files with the imports of gateway and model server."""
    folder.mkdir()
    files = folder / "gateway-imports", folder / "model-server-imports"
    for file in files:
        file.touch()
    port = free_port()
    command = [sys.executable, "-c", RECORDING, "portable_model_server", str(files[1])]
    command += model_server_command(SHIPPED_MODEL, port=port)[3:]
    log = folder / "model-server"
    with processes.process(command, log, model_server) as child:
        processes.wait_until_up(child, lambda: listens(port), log)
        command = [sys.executable, "-c", RECORDING, "gateway", str(files[0])]
        with processes.gateway(folder / "gateway", port, command, **gateway) as server:
            yield server, *files


def test_one_trace_through_both_tiers(tmp_path: Path, receiver: Collector) -> None:
    environment = receiver.environment
    with tiers(tmp_path / "tiers", environment, {**environment, "GATEWAY_LOG_FORMAT": "json"}) as (gateway, *imports):
        response = requests.post(
            f"{gateway.url}/predict?explain=true",
            files={"image": ("patient-doe.jpg", example("glioma"))},
            headers=SAMPLED,
            timeout=30,
        )
        assert response.status_code == 200, response.text
        request = receiver.one("POST /predict")
        served = [span for span in receiver.wait_for(METHOD, 4) if span.kind == SERVER]
        assert all("opentelemetry.sdk" in file.read_text() for file in imports)
    assert (request.service, request.parent_id) == (GATEWAY, PARENT)
    assert {(span.service, span.trace_id, span.trace_state) for span in served} == {(MODEL_SERVER, TRACE, "vendor=1")}
    calls = {span.span_id: span for span in receiver.named(METHOD) if span.kind == CLIENT}
    assert {span.parent_id for span in served} == calls.keys()
    (prediction,) = [span for span in served if span.attributes["model.signature"] == "serving_default"]
    call = calls[prediction.parent_id]
    assert call.started <= prediction.started <= prediction.ended <= call.ended  # one machine has one clock
    assert receiver.children(prediction) == ["engine"]
    for name in ("model.version", "model.precision", "batch.rows"):
        assert call.attributes[name] == prediction.attributes[name]
    lines = [json.loads(line) for line in gateway.log.read_text().splitlines()]
    (line,) = [line for line in lines if line["message"].startswith("/predict 200")]
    assert line["trace_id"] == TRACE
    assert line["request_id"] == response.json()["request_id"]
    assert "doe" not in receiver.text


def test_without_an_endpoint_nothing_is_imported_and_nothing_said(tmp_path: Path, receiver: Collector) -> None:
    variables = {"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}
    with tiers(tmp_path / "off", receiver.environment, variables) as (gateway, gateway_imports, model_server_imports):
        answered = requests.post(
            f"{gateway.url}/predict", files={"image": example("glioma")}, headers=SAMPLED, timeout=30
        )
        assert answered.status_code == 200, answered.text
        # The model server has traces on. It was told of no trace, so it began its own.
        assert {span.parent_id for span in receiver.wait_for(METHOD, 2)} == {""}
        assert TRACE not in {span.trace_id for span in receiver.spans}
        assert "opentelemetry.sdk" in model_server_imports.read_text()
        assert gateway_imports.read_text() == ""
        assert TRACE not in gateway.log.read_text()
    with tiers(tmp_path / "both off", {}, {}) as (gateway, *imports):
        assert predict(gateway.url).status_code == 200
        assert [file.read_text() for file in imports] == ["", ""]


@pytest.mark.parametrize("hangs", [False, True], ids=["gone", "hangs"])
def test_a_collector_that_is_away_costs_no_request(hangs: bool, tmp_path: Path, receiver: Collector) -> None:
    environment = {"OTEL_BSP_SCHEDULE_DELAY": "20", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5", "OTEL_BSP_MAX_QUEUE_SIZE": "9"}
    environment |= {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "5"}
    environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{receiver.port if hangs else free_port()}"
    receiver.go.clear()
    with tiers(tmp_path / "tiers", environment, environment) as (gateway, *_):

        def outages() -> int:
            return gateway.log.read_text().count("the collector takes no traces")

        statuses = [predict(gateway.url).status_code for _ in range(20)]
        wait_until(lambda: outages() > 0, "the line of the outage", gateway.log)
        statuses += [predict(gateway.url).status_code for _ in range(20)]
        assert set(statuses) == {200}
        assert outages() == 1
        receiver.go.set()
    text = gateway.log.read_text()
    assert text.count("tracing.outages") <= 2
    assert "opentelemetry" not in text
    assert gateway.process.returncode == 0


def test_the_last_spans_are_sent_at_the_end(tmp_path: Path, receiver: Collector) -> None:
    environment = {**receiver.environment, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    with tiers(tmp_path / "tiers", {}, environment) as (gateway, *_):
        assert predict(gateway.url).status_code == 200
        assert not receiver.spans
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(30) == 0
    assert len(receiver.named("POST /predict")) == 1
