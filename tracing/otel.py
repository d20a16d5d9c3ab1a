"""Spans by OpenTelemetry's SDK, sent to a collector by OTLP over gRPC, which both tiers have anyway.

The SDK's global provider and its current context are left alone: a process may hold several (tests do).
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME, SERVICE_VERSION
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace import SpanKind, StatusCode, Tracer, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tracing.outages import OneLineAnOutage, quieten
from tracing.spans import Headers, Span, Tracing, Value, entered

_W3C = TraceContextTextMapPropagator()
_HEADERS = ("traceparent", "tracestate")
_CLOSING_SECONDS = 2.0


def exporter() -> SpanExporter:
    """The exporter that the environment describes."""
    last = quieten()
    return OneLineAnOutage(OTLPSpanExporter(), last)


class OtelTracing(Tracing):
    """Makes spans, which a thread of its own hands to an exporter.

    Args:
        exporter: Sends them.
        service: The name of the service, unless the environment has another one.
        version: Its version, if it has one.
    """

    is_on = True
    closing_seconds = _CLOSING_SECONDS

    def __init__(self, exporter: SpanExporter, service: str, version: str = "") -> None:
        self._exporter = exporter
        # What is given to create() would count more than the environment.
        chosen = OTELResourceDetector().detect().attributes
        resource = Resource.create({SERVICE_NAME: service, **({SERVICE_VERSION: version} if version else {}), **chosen})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("brain-tumor", version)

    @contextmanager
    def serve(self, name: str, header: Callable[[str], str | None], started: int | None = None) -> Iterator[Span]:
        """See ``Tracing``."""
        carrier = {found: value for found in _HEADERS if (value := header(found))}
        parent = _W3C.extract(carrier, Context()) if carrier else Context()
        made = self._tracer.start_span(name, parent, SpanKind.SERVER, start_time=started)
        if not made.is_recording():
            with entered(Unsampled(made)) as unsampled:
                yield unsampled
            return
        with _ended(OtelSpan(self._tracer, made)) as span:
            yield span

    def close(self) -> None:
        """See ``Tracing``."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(self.closing_seconds)
        if ending.is_alive():  # the collector does not respond, and the SDK would wait for it
            self._exporter.shutdown()


class Unsampled(Span):
    """The span of a request that is not traced: nothing is kept of it, and it stands for all spans within it.

    Args:
        span: The SDK's, which the sampler has left out.
    """

    def __init__(self, span: ApiSpan) -> None:
        self.trace_id = format_trace_id(span.get_span_context().trace_id)
        self._headers = _headers(set_span_in_context(span, Context()))

    @property
    def headers(self) -> Headers:
        """See ``Span``; the next server learns that nothing is to be kept there, either."""
        return self._headers

    def child(self, name: str, *, calls: bool = False) -> AbstractContextManager[Span]:
        """See ``Span``."""
        return nullcontext(self)


class OtelSpan(Span):
    """A span.

    Args:
        tracer: Makes its children.
        span: The SDK's.

    Attributes:
        has_failed: Whether it is marked as failed.
    """

    def __init__(self, tracer: Tracer, span: ApiSpan) -> None:
        self._tracer = tracer
        self._span = span
        self._context = set_span_in_context(span, Context())
        self.has_failed = False
        self.trace_id = format_trace_id(span.get_span_context().trace_id)

    @property
    def headers(self) -> Headers:
        """See ``Span``."""
        return _headers(self._context)

    def set(self, name: str, value: Value) -> None:
        """See ``Span``."""
        self._span.set_attribute(name, value)

    def event(self, name: str, attributes: Mapping[str, Value] | None = None) -> None:
        """See ``Span``."""
        self._span.add_event(name, attributes)

    def fail(self, reason: str) -> None:
        """See ``Span``."""
        self.has_failed = True
        self._span.set_status(StatusCode.ERROR)
        self._span.set_attribute(ERROR_TYPE, reason)

    @contextmanager
    def child(self, name: str, *, calls: bool = False) -> Iterator[Span]:
        """See ``Span``."""
        made = self._tracer.start_span(name, self._context, SpanKind.CLIENT if calls else SpanKind.INTERNAL)
        with _ended(OtelSpan(self._tracer, made)) as span:
            yield span

    def add_child(self, name: str, start: int, end: int, attributes: Mapping[str, Value] | None = None) -> None:
        """See ``Span``."""
        made = self._tracer.start_span(name, self._context, attributes=attributes, start_time=start)
        made.end(end)

    def end(self) -> None:
        """Nothing more happens in it."""
        self._span.end()


def _headers(context: Context) -> Headers:
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, context)
    return tuple(carrier.items())


@contextmanager
def _ended(span: OtelSpan) -> Iterator[OtelSpan]:
    """The span is the current one in the block, and ends with it."""
    try:
        with entered(span):
            yield span
    except BaseException as error:
        if not span.has_failed:
            span.fail(type(error).__name__)  # its message may hold what no span may
        raise
    finally:
        span.end()
