"""What happens to requests for a model on trial, and how what it says differs from what the stable one says."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

# How a request ends that is the canary's turn, or that the canary gets too, as a shadow.
ANSWERED, SKIPPED, COMPARED, DROPPED = "answered", "skipped", "compared", "dropped"
SLOW, FAILED, UNAVAILABLE, MISMATCH = "slow", "failed", "unavailable", "mismatch"
REQUEST_OUTCOMES = (ANSWERED, SLOW, FAILED, UNAVAILABLE, MISMATCH, SKIPPED)
SHADOW_OUTCOMES = (COMPARED, SLOW, FAILED, UNAVAILABLE, MISMATCH, DROPPED)

# Seconds of a call: close to each other where two models are compared.
_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_DISTANCES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


class CanaryMetrics:
    """The metrics of a canary and its shadow work.

    Args:
        registry: Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "gateway_canary_requests",
            "Requests whose turn it was to go to the canary, by how that ended; the stable model answered the others.",
            ["outcome"],
            registry=registry,
        )
        self._shadows = Counter(
            "gateway_shadow_requests",
            "Requests of the stable model that the canary was to get too, by how that ended.",
            ["outcome"],
            registry=registry,
        )
        self._agreements = Counter(
            "gateway_shadow_agreements", "Images for which both models say the same class.", registry=registry
        )
        self._images = Counter(
            "gateway_shadow_images", "Images of which two predictions were compared.", registry=registry
        )
        self._distance = Histogram(
            "gateway_shadow_distance",
            "Total variation distance between the class probabilities of both models for an image, 0 to 1.",
            buckets=_DISTANCES,
            registry=registry,
        )
        self._seconds = Histogram(
            "gateway_model_seconds",
            "Time of a call for predictions while there is a canary, of either model; at least, where it was given up.",
            ["label"],
            buckets=_SECONDS,
            registry=registry,
        )

    def show(self, labels: Sequence[str]) -> None:
        """Show every series from now on, also those that count nothing yet; ``labels`` are those of the models."""
        for outcome in REQUEST_OUTCOMES:
            self._requests.labels(outcome)
        for outcome in SHADOW_OUTCOMES:
            self._shadows.labels(outcome)
        for label in labels:
            self._seconds.labels(label)

    def requested(self, outcome: str) -> None:
        """Count a request whose turn it was; one of ``REQUEST_OUTCOMES``."""
        self._requests.labels(outcome).inc()

    def shadowed(self, outcome: str) -> None:
        """Count a shadow; one of ``SHADOW_OUTCOMES``."""
        self._shadows.labels(outcome).inc()

    def compared(self, agrees: bool, distance: float) -> None:
        """Count an image that both models have classified.

        Args:
            agrees: Whether they say the same class.
            distance: Half the sum of the absolute differences of their class probabilities.
        """
        self._images.inc()
        self._agreements.inc(agrees)
        self._distance.observe(distance)

    def called(self, label: str, seconds: float) -> None:
        """Count a call of the model with this label."""
        self._seconds.labels(label).observe(seconds)
