"""TensorFlow Serving's Prometheus metrics under its own names, and the page that shows them as its own does.

Source of the page's form: tensorflow_serving/util/prometheus_exporter.cc.
"""

import threading
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from portable_model_server.engines.base import TENSORFLOW

REQUEST_COUNT = ":tensorflow:serving:request_count"
REQUEST_LATENCY = ":tensorflow:serving:request_latency"
RUNTIME_LATENCY = ":tensorflow:serving:runtime_latency"
# Microseconds, 10 to 20 minutes. Source: the samplers in tensorflow_serving/servables/tensorflow/util.cc.
LIMITS = [10 * 1.8**step for step in range(33)]
# The label that the names of models that do not exist share.
UNKNOWN_MODEL = "(unknown)"
# The name that TensorFlow Serving gives to TensorFlow's sessions.
_RUNTIMES = {TENSORFLOW: "TF1"}

_Labels = tuple[str, ...]


@dataclass
class _Times:
    """How many times lie below each limit, and above the one before; the last bucket is for those above all limits."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(LIMITS) + 1))
    total: float = 0.0

    def add(self, microseconds: float) -> None:
        self.buckets[bisect_right(LIMITS, microseconds)] += 1
        self.total += microseconds


class Metrics:
    """Counts and times requests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count: Counter[_Labels] = Counter()
        self._latency: defaultdict[_Labels, _Times] = defaultdict(_Times)
        self._runtime: defaultdict[_Labels, _Times] = defaultdict(_Times)

    def observe_request(self, model: str, status: str, api: str, entrypoint: str, seconds: float) -> None:
        """Count a request and, if it succeeded, record its time.

        Args:
            model: Name of the model, or ``UNKNOWN_MODEL``.
            status: Name of the canonical code, such as ``OK``.
            api: ``Predict`` over gRPC, ``predict`` over REST.
            entrypoint: ``GRPC`` or ``REST``.
            seconds: How long the request took.
        """
        with self._lock:
            self._count[model, status] += 1
            if status == "OK":
                self._latency[model, api, entrypoint].add(seconds * 1e6)

    def observe_engine(self, model: str, engine: str, seconds: float) -> None:
        """Record how long an engine took for a prediction."""
        with self._lock:
            self._runtime[model, "Predict", _RUNTIMES.get(engine, engine)].add(seconds * 1e6)

    def page(self) -> bytes:
        """Render all metrics in Prometheus' text format."""
        with self._lock:
            lines = [
                *_counter(REQUEST_COUNT, ("model_name", "status"), self._count),
                *_histogram(REQUEST_LATENCY, ("model_name", "API", "entrypoint"), self._latency),
                *_histogram(RUNTIME_LATENCY, ("model_name", "API", "runtime"), self._runtime),
            ]
        return "".join(f"{line}\n" for line in lines).encode()


def _counter(metric: str, names: _Labels, values: Mapping[_Labels, int]) -> Iterator[str]:
    yield f"# TYPE {metric} counter"
    for labels, value in sorted(values.items()):
        yield f"{metric}{{{_text(names, labels)}}} {value}"


def _histogram(metric: str, names: _Labels, values: Mapping[_Labels, _Times]) -> Iterator[str]:
    yield f"# TYPE {metric} histogram"
    limits = [*(f"{limit:g}" for limit in LIMITS), "+Inf"]
    for labels, times in sorted(values.items(), key=lambda item: item[0]):
        text = _text(names, labels)
        for limit, count in zip(limits, accumulate(times.buckets), strict=True):
            yield f'{metric}_bucket{{{text},le="{limit}"}} {count}'
        yield f"{metric}_sum{{{text}}} {times.total}"
        yield f"{metric}_count{{{text}}} {sum(times.buckets)}"


def _text(names: _Labels, labels: _Labels) -> str:
    return ",".join(f'{name}="{_escaped(label)}"' for name, label in zip(names, labels, strict=True))


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
