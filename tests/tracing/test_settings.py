import pytest

from tracing.settings import TracingError, is_wanted

ON = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}


@pytest.mark.parametrize(
    "environ",
    [
        ON,
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector.example:443"},
        {**ON, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ""},
        {**ON, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:4317/"},
        {**ON, "OTEL_SDK_DISABLED": "false", "OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {**ON, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"},
        {**ON, "OTEL_EXPORTER_OTLP_TIMEOUT": "2.5", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
        {**ON, "OTEL_EXPORTER_OTLP_CERTIFICATE": __file__, "OTEL_BSP_MAX_QUEUE_SIZE": "512"},
        {**ON, "OTEL_BSP_MAX_QUEUE_SIZE": "100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100"},
        {**ON, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "200"},
    ],
)
def test_an_endpoint_switches_traces_on(environ):
    assert is_wanted(environ)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_SERVICE_NAME": "gateway", "OTEL_TRACES_SAMPLER": "nonsense"},
        {**ON, "OTEL_SDK_DISABLED": "True"},
        {**ON, "OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
    ],
)
def test_without_one_or_switched_off_they_are_off(environ):
    assert not is_wanted(environ)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "must be http://host:port"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@collector:4317", "must be http://host:port"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/v1/traces", "without a path"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://", "must be http://host:port"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "must be otlp"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "must be grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "must be grpc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "", "must be gzip"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file", "there is no such file"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "must be a number of at least 0.001"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "inf", "must be a number"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "must be always_on or always_off or traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5", "must be a number of at least 0 and at most 1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "must be a whole number of at least 1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0.5", "must be a whole number"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", "must be a whole number"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2049", "must be at most OTEL_BSP_MAX_QUEUE_SIZE, which is 2048"),
    ],
)
def test_a_bad_value_is_named(variable, value, message):
    with pytest.raises(TracingError) as caught:
        is_wanted({**ON, variable: value})
    assert str(caught.value).startswith(f"{variable}=")
    assert message in str(caught.value)


def test_a_queue_that_is_smaller_than_a_batch_is_refused():
    with pytest.raises(TracingError, match=r"OTEL_BSP_MAX_EXPORT_BATCH_SIZE=512: must be at most .* 100"):
        is_wanted({**ON, "OTEL_BSP_MAX_QUEUE_SIZE": "100"})
