"""The log while the collector is away, slow, or refuses what it gets."""

import logging
from collections.abc import Iterator

import grpc
import pytest

from brain_tumor.processes import free_port
from tests.processes import wait_until
from tests.tracing.collector import Collector, collector
from tracing.spans import Tracing
from tracing.start import start


@pytest.fixture
def own(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level(logging.DEBUG)
    return caplog


def begin(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, timeout: float = 20) -> Tracing:
    environment = {**environment, "OTEL_EXPORTER_OTLP_TIMEOUT": f"{timeout}", "OTEL_BSP_SCHEDULE_DELAY": "20"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return start(environment, "a-service")


def send(tracing: Tracing) -> None:
    with tracing.serve("request", {}.get):
        pass


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.name != "asyncio"]


def test_one_line_for_an_outage_and_one_for_its_end(
    receiver: Collector, own: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracing = begin(receiver.environment, monkeypatch)
    send(tracing)
    receiver.wait_for("request")
    assert lines(own) == []
    receiver.refuse = grpc.StatusCode.UNAUTHENTICATED
    for calls in range(receiver.calls + 1, receiver.calls + 4):
        send(tracing)
        wait_until(lambda calls=calls: receiver.calls >= calls, "a refused call")
    receiver.refuse = None
    send(tracing)
    receiver.wait_for("request", 2)
    tracing.close()
    (level, begins), (end_level, ends) = lines(own)
    assert (level, begins) == ("WARNING", "the collector takes no traces (UNAUTHENTICATED): spans are lost")
    assert end_level == "INFO"
    assert ends.endswith("; 3 spans or more are lost")


def test_a_collector_that_hangs(
    receiver: Collector, own: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.go.clear()
    tracing = begin(receiver.environment, monkeypatch, timeout=0.3)
    send(tracing)
    wait_until(lambda: lines(own) != [], "a line")
    assert lines(own) == [("WARNING", "the collector takes no traces (DEADLINE_EXCEEDED): spans are lost")]
    receiver.go.set()
    tracing.close()


def test_a_collector_that_comes_later(own: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    tracing = begin({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}, monkeypatch, timeout=2)
    send(tracing)
    wait_until(lambda: lines(own) != [], "a line")
    assert lines(own)[0][1].startswith("the collector takes no traces (UNAVAILABLE)")
    with collector(port) as late:

        def came() -> bool:
            send(tracing)
            return bool(late.spans)

        wait_until(came, "spans after the outage")
        tracing.close()
    assert [level for level, _ in lines(own)] == ["WARNING", "INFO"]


def test_more_spans_than_are_kept_are_dropped_in_silence(
    receiver: Collector, own: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.go.clear()
    tracing = begin(
        {**receiver.environment, "OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "5"},
        monkeypatch,
        timeout=0.3,
    )
    for _ in range(500):
        send(tracing)
    wait_until(lambda: lines(own) != [], "a line")
    assert len(lines(own)) == 1
    receiver.go.set()
    tracing.close()
    assert len(receiver.spans) < 100
