"""One line in the log for each outage of the collector: OpenTelemetry's exporter has one for each attempt."""

import logging
import time
from collections.abc import Sequence

import grpc
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

_log = logging.getLogger(__name__)
_LIBRARY = "opentelemetry"
_EXPORTER = "opentelemetry.exporter.otlp.proto.grpc.exporter"


def quieten() -> "LastStatus":
    """Keep what OpenTelemetry logs out of the log: it repeats clients' headers, and the same failure again and again.

    Returns:
        What remembers how the exporter's last call failed.
    """
    last = LastStatus()
    exporter = logging.getLogger(_EXPORTER)
    exporter.filters.clear()  # it drops what is like the record before it
    exporter.handlers[:] = [last]
    exporter.propagate = False
    exporter.setLevel(logging.WARNING)
    logging.getLogger(_LIBRARY).setLevel(logging.CRITICAL + 1)
    return last


class LastStatus(logging.Handler):
    """Remembers the gRPC status in the last record of OpenTelemetry's exporter, which tells it to nobody else.

    Attributes:
        name_of_it: Its name, such as ``UNAVAILABLE``; empty as long as there was none.
    """

    name_of_it = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; logging calls this."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        for argument in arguments:
            if isinstance(argument, grpc.StatusCode):
                self.name_of_it = argument.name


class OneLineAnOutage(SpanExporter):
    """Exports by another exporter, and logs when that begins to fail and when it works again.

    Args:
        exporter: The other one.
        last: Knows how its last call failed.
    """

    def __init__(self, exporter: SpanExporter, last: LastStatus) -> None:
        self._exporter = exporter
        self._last = last
        self._failing_since: float | None = None
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; the SDK calls this in a thread of its own."""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._failing_since is not None:
                seconds = time.monotonic() - self._failing_since
                _log.info(
                    "the collector takes traces again after %.0f s; %d spans or more are lost", seconds, self._lost
                )
                self._failing_since, self._lost = None, 0
            return result
        self._lost += len(spans)
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            # Requests go on: nobody is told but the operator.
            _log.warning("the collector takes no traces (%s): spans are lost", self._last.name_of_it or "no status")
        return result

    def shutdown(self) -> None:
        """End; an export under way is given up."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing is kept here."""
        return True
