"""Starts traces where the environment asks for them, and imports OpenTelemetry only then."""

from collections.abc import Mapping

from tracing.settings import is_wanted
from tracing.spans import NO_TRACING, Tracing


def start(environ: Mapping[str, str], service: str, version: str = "") -> Tracing:
    """Make what makes the spans of this process; after its last fork, since it has a thread and a gRPC channel.

    Args:
        environ: The environment of this process, where OpenTelemetry reads the rest itself.
        service: The name of the service, unless the environment has another one.
        version: Its version, if it has one.

    Raises:
        TracingError: A variable cannot be used.
    """
    if not is_wanted(environ):
        return NO_TRACING
    from tracing.otel import OtelTracing, exporter

    return OtelTracing(exporter(), service, version)
