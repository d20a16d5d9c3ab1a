"""What the model said of the images, and how far that is from its validation: for each model version and precision.

The names of classes and the versions come from the model, so both are bounded here. A Prometheus collector of its own
can forget old versions, which the library's counters cannot, and takes one lock for an image.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import NamedTuple

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from brain_tumor.metadata import MAX_PROBABILITY, ModelMetadata
from brain_tumor.reference import BRIGHTNESS, CLASSES, CONFIDENCE, MAX_BINS, OOD_SCORE, SIZE, Histogram
from gateway.metrics.drift import Windows

_MAX_MODELS = 4  # versions and precisions: the one served, the next beside it, and each one's other precision
_MAX_NAME = 64  # characters of a class name
OTHER = "other"  # all classes beyond MAX_BINS
_LABELS = ("model_version", "precision")
# Where the model has no reference histogram. An energy is about minus the largest logit.
_CONFIDENCES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
_ENERGIES = (-40.0, -30.0, -20.0, -15.0, -10.0, -7.5, -5.0, -2.5, 0.0)
_NEGATIVE_LOGARITHMS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.4)
_HELP = {
    CONFIDENCE: ("gateway_confidence", "Largest class probability of an image."),
    OOD_SCORE: ("gateway_ood_score", "Out-of-distribution score of an image."),
    BRIGHTNESS: ("gateway_brightness", "Mean of an image's pixels as the model takes them, 0 to 255."),
    SIZE: ("gateway_image_size_pixels", "Longer side of an image as it was sent."),
}


class Observed(NamedTuple):
    """What is counted of one image and its prediction.

    Attributes:
        class_index: The predicted class.
        confidence: The largest class probability.
        ood_score: The OOD score.
        brightness: What ``brain_tumor.reference.brightness`` gives.
        size: Pixels of the longer side, as sent; None if the client has prepared the image itself.
    """

    class_index: int
    confidence: float
    ood_score: float
    brightness: float
    size: int | None


class Predictions(Collector):
    """Counts predictions; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: OrderedDict[tuple[str, str], _Model] = OrderedDict()

    def observe(self, version: int | str, metadata: ModelMetadata, image: Observed) -> None:
        """Count one image.

        Args:
            version: The number of the model version that made the prediction, or what stands for it.
            metadata: That version's.
            image: The image and its prediction.
        """
        key = (str(version), metadata.precision)
        with self._lock:
            model = self._models.get(key)
            if model is None or not model.suits(metadata):
                model = self._models[key] = _Model(metadata)
            self._models.move_to_end(key)
            if len(self._models) > _MAX_MODELS:
                self._models.popitem(last=False)
            model.add(image)

    def collect(self) -> Iterator[Metric]:
        """Make the metrics."""
        classes = CounterMetricFamily(
            "gateway_predictions", "Predictions, by class and by what made them.", labels=[*_LABELS, "class"]
        )
        flagged = CounterMetricFamily(
            "gateway_out_of_distribution", "Predictions for images flagged as out-of-distribution.", labels=_LABELS
        )
        live = {feature: HistogramMetricFamily(name, text, labels=_LABELS) for feature, (name, text) in _HELP.items()}
        reference = GaugeMetricFamily(
            "gateway_reference_share",
            "Share of the model's validation images up to a bound of the histograms; of classes, up to this one.",
            labels=[*_LABELS, "feature", "le"],
        )
        index = GaugeMetricFamily(
            "gateway_population_stability_index",
            "Distance of this process' last images from the model's validation, less what chance brings.",
            labels=[*_LABELS, "feature", "window"],
        )
        with self._lock:
            for key, model in self._models.items():
                for name, count in zip(model.names, model.classes, strict=True):
                    classes.add_metric([*key, name], count)
                flagged.add_metric(key, model.flagged)
                for feature, histogram in model.live.items():
                    live[feature].add_metric(key, list(histogram.buckets()), histogram.sum)
                for feature, expected in model.reference.items():
                    names = model.names if feature == CLASSES else _bounds(expected.edges)
                    for name, share in zip(names, _cumulative_shares(expected.counts), strict=True):
                        reference.add_metric([*key, feature, name], share)
                for feature, windows in model.windows.items():
                    for length, value in windows.indices():
                        index.add_metric([*key, feature, str(length)], value)
        yield from (classes, flagged, *live.values(), reference, index)


class _Live:
    """A histogram that grows."""

    def __init__(self, edges: tuple[float, ...]) -> None:
        self.sum = 0.0
        self._edges = edges
        self._counts = [0] * (len(edges) + 1)

    def add(self, index: int, value: float) -> None:
        self._counts[index] += 1
        self.sum += value

    def buckets(self) -> Iterator[tuple[str, float]]:
        return zip(_bounds(self._edges), map(float, accumulate(self._counts)), strict=True)


class _Model:
    """The counts of one model version in one precision."""

    def __init__(self, metadata: ModelMetadata) -> None:
        self._metadata = metadata
        self.reference: Mapping[str, Histogram] = metadata.reference
        self.names = _class_labels(metadata.class_names)
        self.classes = [0] * len(self.names)
        self.flagged = 0
        scores = _NEGATIVE_LOGARITHMS if metadata.out_of_distribution_score == MAX_PROBABILITY else _ENERGIES
        bins = {CONFIDENCE: _even(_CONFIDENCES), OOD_SCORE: _even(scores), **metadata.reference}
        self._bins = bins
        self.live = {feature: _Live(histogram.edges) for feature, histogram in bins.items() if feature != CLASSES}
        self.windows = {feature: Windows(histogram.counts) for feature, histogram in metadata.reference.items()}

    def suits(self, metadata: ModelMetadata) -> bool:
        """Whether what is counted here can be counted further with this metadata."""
        own = self._metadata
        return own is metadata or (own.class_names, own.reference) == (metadata.class_names, metadata.reference)

    def add(self, image: Observed) -> None:
        self.classes[min(image.class_index, len(self.classes) - 1)] += 1
        threshold = self._metadata.out_of_distribution_threshold
        self.flagged += threshold is not None and image.ood_score > threshold
        values = (image.class_index, image.confidence, image.ood_score, image.brightness, image.size)
        for feature, value in zip((CLASSES, CONFIDENCE, OOD_SCORE, BRIGHTNESS, SIZE), values, strict=True):
            if value is None or feature not in self._bins:
                continue
            index = self._bins[feature].bin_of(value)
            if feature in self.live:
                self.live[feature].add(index, value)
            if feature in self.windows:
                self.windows[feature].add(index)


def _class_labels(names: tuple[str, ...]) -> list[str]:
    labels = [name[:_MAX_NAME] for name in names[:MAX_BINS]]
    if len(names) > MAX_BINS:
        labels.append(OTHER)
    if len(set(labels)) == len(labels):
        return labels
    return [f"{index} {label}" for index, label in enumerate(labels)]  # or Prometheus refuses all metrics


def _even(edges: tuple[float, ...]) -> Histogram:
    return Histogram(edges, (1,) * (len(edges) + 1))


def _bounds(edges: tuple[float, ...]) -> list[str]:
    return [*map(floatToGoString, edges), "+Inf"]


def _cumulative_shares(counts: tuple[int, ...]) -> Iterator[float]:
    return (count / sum(counts) for count in accumulate(counts))
