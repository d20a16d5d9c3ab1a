"""Without a collector nothing of OpenTelemetry is imported, and its variables are not even checked."""

import subprocess
import sys

import pytest

from tests.processes import CLEAN_ENVIRONMENT, ROOT

CODE = """
import os, sys
from tracing.start import start
tracing = start(os.environ, "a-service")
with tracing.serve("request", {}.get) as span:
    span.set("a", 1)
tracing.close()
print(tracing.is_on, any(name.partition(".")[0] == "opentelemetry" for name in sys.modules))
"""


@pytest.mark.parametrize(
    ("environment", "printed"),
    [
        ({}, "False False"),
        ({"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}, "False False"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, "False False"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, "True True"),
    ],
)
def test_imports(environment: dict[str, str], printed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=ROOT,
        env={**CLEAN_ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == printed
