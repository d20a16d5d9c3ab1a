"""TensorFlow Serving's Prometheus metrics under its own names."""

import threading
from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

REQUEST_COUNT = ":tensorflow:serving:request_count"
REQUEST_LATENCY = ":tensorflow:serving:request_latency"
RUNTIME_LATENCY = ":tensorflow:serving:runtime_latency"
# Microseconds, 10 to 20 minutes. Source: the samplers in tensorflow_serving/servables/tensorflow/util.cc.
BUCKETS = [10 * 1.8**step for step in range(33)]
# The label that the names of models that do not exist share.
UNKNOWN_MODEL = "(unknown)"


class _RequestCount(Collector):
    """A counter without the suffix ``_total``, which prometheus_client's own counter adds.

    Its type is "untyped", since the text format adds the suffix to a counter's type line too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, model: str, status: str) -> None:
        with self._lock:
            self._counts[model, status] += 1

    def collect(self) -> Iterator[Metric]:
        metric = Metric(REQUEST_COUNT, "The total number of requests.", "unknown")
        with self._lock:
            counts = sorted(self._counts.items())
        for (model, status), count in counts:
            metric.add_sample(REQUEST_COUNT, {"model_name": model, "status": status}, count)
        yield metric


class Metrics:
    """Counts and times requests."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._count = _RequestCount()
        self._registry.register(self._count)
        self._latency = Histogram(
            REQUEST_LATENCY,
            "Distribution of wall time (in microseconds) of requests.",
            ["model_name", "API", "entrypoint"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._runtime = Histogram(
            RUNTIME_LATENCY,
            "Distribution of wall time (in microseconds) of the engine's part.",
            ["model_name", "API", "runtime"],
            buckets=BUCKETS,
            registry=self._registry,
        )

    def observe_request(self, model: str, status: str, api: str, entrypoint: str, seconds: float) -> None:
        """Count a request and, if it succeeded, record its time.

        Args:
            model: Name of the model, or ``UNKNOWN_MODEL``.
            status: Name of the canonical code, such as ``OK``.
            api: ``Predict`` over gRPC, ``predict`` over REST.
            entrypoint: ``GRPC`` or ``REST``.
            seconds: How long the request took.
        """
        self._count.add(model, status)
        if status == "OK":
            self._latency.labels(model, api, entrypoint).observe(seconds * 1e6)

    def observe_engine(self, model: str, engine: str, seconds: float) -> None:
        """Record how long an engine took for a prediction."""
        self._runtime.labels(model, "Predict", engine).observe(seconds * 1e6)

    def page(self) -> bytes:
        """Render all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
