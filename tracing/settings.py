"""OpenTelemetry's own variables, as far as a wrong value would otherwise go unnoticed or end a server later.

OpenTelemetry's SDK reads them from the environment itself, and takes a default for what it does not understand.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")  # the first that is set counts
_SAMPLERS = tuple(
    f"{parent}{sampler}" for parent in ("", "parentbased_") for sampler in ("always_on", "always_off", "traceidratio")
)


_BATCHES = {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": 512, "OTEL_BSP_MAX_QUEUE_SIZE": 2048}  # the SDK's defaults
_LIMITS = (
    *("OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT"),
    *("OTEL_SPAN_LINK_COUNT_LIMIT", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"),
    *("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
)


class TracingError(ValueError):
    """A variable of OpenTelemetry that cannot be used; the message names it."""


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether an environment switches traces on: it names a collector, and nothing in it switches them off.

    Raises:
        TracingError: They are on, and a variable is malformed or asks for what is not there.
    """
    endpoint = next(filter(None, (environ.get(name, "").strip() for name in _ENDPOINTS)), "")
    off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if off or not endpoint or environ.get("OTEL_TRACES_EXPORTER", "").strip() == "none":
        return False
    for name, check in _CHECKS.items():
        if name in environ:
            try:
                check(environ[name])
            except ValueError as error:
                raise TracingError(f"{name}={environ[name]!r}: {error}") from None
    batch, queue = (int(environ.get(name, usual)) for name, usual in _BATCHES.items())
    if batch > queue:
        name = next(iter(_BATCHES))
        raise TracingError(f"{name}={batch}: must be at most OTEL_BSP_MAX_QUEUE_SIZE, which is {queue}")
    return True


def _endpoint(text: str) -> None:
    message = "must be http://host:port, or https://host:port for TLS"
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None):
        raise ValueError(message)
    if parts.path.strip("/") or parts.query:
        raise ValueError(f"{message}, without a path: spans are sent by gRPC, whose usual port is 4317")


def _one_of(*choices: str, or_empty: bool = True) -> Callable[[str], None]:
    def check(text: str) -> None:
        if text.lower() not in choices and (text or not or_empty):
            raise ValueError(f"must be {' or '.join(choices)}")

    return check


def _file(text: str) -> None:
    if text and not Path(text).is_file():
        raise ValueError("there is no such file")


def _number(low: float, high: float = math.inf, kind: type[int] | type[float] = float) -> Callable[[str], None]:
    def check(text: str) -> None:
        message = f"must be a {'whole ' if kind is int else ''}number of at least {low}"
        message += f" and at most {high}" if math.isfinite(high) else ""
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(message) from None
        if not (low <= value <= high and math.isfinite(value)):
            raise ValueError(message)

    return check


def _limit(text: str) -> None:
    if text.strip():  # an empty one is none
        _number(0, kind=int)(text)


_CHECKS: dict[str, Callable[[str], None]] = {
    **dict.fromkeys(_ENDPOINTS, _endpoint),
    "OTEL_TRACES_EXPORTER": _one_of("otlp"),
    "OTEL_EXPORTER_OTLP_PROTOCOL": _one_of("grpc"),
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": _one_of("grpc"),
    "OTEL_EXPORTER_OTLP_COMPRESSION": _one_of("gzip", or_empty=False),
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": _one_of("gzip", or_empty=False),
    **dict.fromkeys(
        (
            f"OTEL_EXPORTER_OTLP_{signal}{file}"
            for signal in ("", "TRACES_")
            for file in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
        ),
        _file,
    ),
    "OTEL_EXPORTER_OTLP_TIMEOUT": _number(0.001),
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": _number(0.001),
    "OTEL_TRACES_SAMPLER": _one_of(*_SAMPLERS),
    "OTEL_TRACES_SAMPLER_ARG": _number(0, 1),
    "OTEL_BSP_SCHEDULE_DELAY": _number(1, kind=int),
    **dict.fromkeys(_BATCHES, _number(1, kind=int)),
    **dict.fromkeys(_LIMITS, _limit),
}
