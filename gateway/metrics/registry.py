"""All metrics of one application, and how they are written.

What is told here of a request, its span hears as well: its stages, its fetches, and why it got no prediction.
"""

import platform
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

from gateway import VERSION
from gateway.metrics.canary import CanaryMetrics
from gateway.metrics.predictions import Predictions
from tracing.spans import current, span

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
# Seconds: from a rejected request (1 ms) to the longest deadline that makes sense for a person who waits.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The metrics of one application, in a registry of its own: a process may hold several (tests do).

    Args:
        revision: The commit that the gateway was built from.

    Attributes:
        predictions: What the model said of the images.
        canary: What happens with a model on trial.
    """

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, revision: str = "unknown") -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        build = Gauge(
            "gateway_build_info",
            "Always 1: what this gateway is.",
            ["version", "revision", "python"],
            registry=self._registry,
        )
        build.labels(VERSION, revision, platform.python_version()).set(1)
        self.predictions = Predictions()
        self._registry.register(self.predictions)
        self.canary = CanaryMetrics(self._registry)
        self._refusals = Counter(
            "gateway_refusals",
            "Requests, and images of a list, that got no prediction.",
            ["reason"],
            registry=self._registry,
        )
        self._fetches = Counter(
            "gateway_fetches", "Images fetched by URL, by how that ended.", ["outcome"], registry=self._registry
        )
        self._requests = Counter(
            "gateway_requests",
            "Requests, by the status of their response.",
            ["route", "status"],
            registry=self._registry,
        )
        self._caller_requests = Counter(
            "gateway_caller_requests",
            "Requests of callers with keys, by the status of their response.",
            ["caller", "status"],
            registry=self._registry,
        )
        self.request_seconds = Histogram(
            "gateway_request_seconds",
            "Time from a request to its response.",
            ["route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.stage_seconds = Histogram(
            "gateway_stage_seconds",
            "Time of one stage of a prediction.",
            ["stage"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._wait_seconds = Histogram(
            "gateway_wait_seconds",
            "Time that requests waited for a slot: to work, to fetch by URL, or for heavy images.",
            ["slot"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "gateway_in_flight", "Requests for predictions being worked on.", registry=self._registry
        )
        self.waiting = Gauge(
            "gateway_waiting", "Requests for predictions that wait for a slot.", registry=self._registry
        )
        self.connections = Gauge("gateway_connections", "Open connections of clients.", registry=self._registry)
        self.model_errors = Counter(
            "gateway_model_errors", "Failed calls of the model server.", ["code"], registry=self._registry
        )

    def count(self, route: str, status: int, caller: str) -> None:
        """Count a response.

        Args:
            route: The rule of its route; or what stands for one.
            status: Its status code.
            caller: The name of who sent the request, as the operator chose it; empty where nobody has a name.
        """
        self._requests.labels(route, status).inc()
        if caller:
            self._caller_requests.labels(caller, status).inc()

    def refused(self, reason: str | type[Exception]) -> None:
        """Count a request, or an image of a list, that gets no prediction.

        Args:
            reason: Why: a word of the few that there are, or an exception that is named for its meaning.
        """
        word = _word(reason)
        self._refusals.labels(word).inc()
        current().event("refused", {"reason": word})

    def fetched(self, outcome: str | type[Exception]) -> None:
        """Count an image that was fetched by URL, or was not; the outcome is as in ``refused``."""
        word = _word(outcome)
        self._fetches.labels(word).inc()
        current().event("fetched", {"outcome": word})

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Take the time of one stage, which is a span: source, fetch, preprocess, predict or postprocess."""
        with span(name), self.stage_seconds.labels(name).time():
            yield

    def waited(self, slot: str) -> Callable[[float], object]:
        """A function that takes how many seconds a request waited for this kind of slot: work, fetch or heavy."""
        return self._wait_seconds.labels(slot).observe

    def follow_calls(self, calls: Callable[[], Mapping[str, int]], ejections: Callable[[], int]) -> None:
        """Show how calls of the model server ended, and how often a replica was taken out of service.

        Args:
            calls: Gives the calls so far, by their result.
            ejections: Gives the ejections so far.
        """
        self._registry.register(_Calls(calls, ejections))

    def render(self) -> bytes:
        """Write all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


def _word(meaning: str | type[Exception]) -> str:
    """``ImageTooLarge`` as ``image_too_large``."""
    return meaning if isinstance(meaning, str) else _CAPITAL.sub("_", meaning.__name__).lower()


class _Calls(Collector):
    """Counts that the model client keeps itself, read when Prometheus asks."""

    def __init__(self, calls: Callable[[], Mapping[str, int]], ejections: Callable[[], int]) -> None:
        self._calls = calls
        self._ejections = ejections

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Make the metrics."""
        family = CounterMetricFamily(
            "gateway_model_calls",
            "Calls of the model server, by their result. A request is called again after unavailable, hung or ejected.",
            labels=["result"],
        )
        for result, count in self._calls().items():
            family.add_metric([result], count)
        yield family
        yield CounterMetricFamily(
            "gateway_model_ejections",
            "Times that a replica of the model server was taken out of service.",
            value=self._ejections(),
        )
