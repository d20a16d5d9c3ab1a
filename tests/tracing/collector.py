"""A collector of spans: a real gRPC server that takes them by OTLP, and can refuse them or hang."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import add_TraceServiceServicer_to_server

from tests.processes import wait_until
from tracing.spans import Tracing
from tracing.start import start

SERVER, CLIENT, INTERNAL = 2, 3, 1  # kinds of spans, in OTLP
ERROR = 2


@dataclass(frozen=True)
class Collected:
    """A span as it came."""

    service: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str  # empty for none
    trace_state: str
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    failed: bool
    started: int
    ended: int
    resource: dict[str, Any] = field(repr=False)


@dataclass
class Collector:
    """What came, and how the server behaves; a test may change that at any time."""

    port: int
    server: grpc.Server
    refuse: grpc.StatusCode | None = None
    go: threading.Event = field(default_factory=threading.Event)  # calls wait until it is set
    spans: list[Collected] = field(default_factory=list)
    calls: int = 0
    text: str = ""  # all that came

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a server sends its spans here, soon."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}", "OTEL_BSP_SCHEDULE_DELAY": "50"}

    def Export(self, request: ExportTraceServiceRequest, context: grpc.ServicerContext):  # noqa: N802 - OTLP's name
        self.calls += 1
        self.go.wait(30)
        if self.refuse:
            context.abort(self.refuse, "a fault of the test")
        self.text += str(request)
        for of_resource in request.resource_spans:
            resource = _values(of_resource.resource.attributes)
            for scope in of_resource.scope_spans:
                self.spans += [_read(span, resource) for span in scope.spans]
        return ExportTraceServiceResponse()

    def named(self, name: str, service: str = "") -> list[Collected]:
        """The spans of a name that have come."""
        return [span for span in list(self.spans) if span.name == name and service in ("", span.service)]

    def wait_for(self, name: str, count: int = 1) -> list[Collected]:
        """Wait until so many spans of a name have come; return them."""
        wait_until(lambda: len(self.named(name)) >= count, f"{count} spans {name!r} among {self.spans}")
        return self.named(name)

    def one(self, name: str) -> Collected:
        """Wait for the only span of a name."""
        (span,) = self.wait_for(name)
        return span

    def children(self, parent: Collected) -> list[str]:
        """The names of the spans within a span, in the order in which they began."""
        found = [span for span in list(self.spans) if span.parent_id == parent.span_id]
        return [span.name for span in sorted(found, key=lambda span: span.started)]


@contextmanager
def collector(port: int = 0) -> Iterator[Collector]:
    """A running collector on loopback, on this port, or on a free one."""
    pool = ThreadPoolExecutor(4)
    server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
    made = Collector(server.add_insecure_port(f"127.0.0.1:{port}"), server)
    made.go.set()
    add_TraceServiceServicer_to_server(made, server)
    server.start()
    try:
        yield made
    finally:
        made.go.set()
        server.stop(grace=None).wait()
        pool.shutdown()


def _read(span: Any, resource: dict[str, Any]) -> Collected:
    return Collected(
        service=resource["service.name"],
        name=span.name,
        kind=span.kind,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        trace_state=span.trace_state,
        attributes=_values(span.attributes),
        events=[(event.name, _values(event.attributes)) for event in span.events],
        failed=span.status.code == ERROR,
        started=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        resource=resource,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


@contextmanager
def traced(receiver: Collector, monkeypatch: pytest.MonkeyPatch, **variables: str) -> Iterator[Tracing]:
    """Traces of this process, with more variables of OpenTelemetry's, which reads the real environment."""
    environment = {**receiver.environment, **variables}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    tracing = start(environment, "a-service", "1.2")
    try:
        yield tracing
    finally:
        tracing.close()
