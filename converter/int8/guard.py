"""The guard: what int8 does worse than float32 on the same held-out images, and how much of it is allowed.

Every figure is a harm: what int8 loses, or does more of what is bad. A harm is judged by the upper end of its 95 %
interval, from a bootstrap over groups of images that draws the same images for both forms. So few images never pass by
luck: they have wide intervals.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain_tumor.quality.metrics import Metrics, auroc, calibration_error, resampled, rounded
from converter.int8.runtime import Outputs

# The most that the upper end of each harm's interval may be. 0.02: quantization is not to cost more than the choice
# between two trained networks does (the shipped network's accuracy has an interval of about 0.02). 0.03 for the
# calibration error: each image that moves to another bin of confidence changes it, up or down. 0.05 where a change is
# not yet a mistake: images between two classes may change sides in either direction, and a map its details.
_MISTAKES, _CALIBRATION, _CHANGES = 0.02, 0.03, 0.05
MAPS_CHANGED = "maps_changed"
BOUNDS = {
    "accuracy_lost": _MISTAKES,
    "tumours_missed_more": _MISTAKES,
    "calibration_error_gained": _CALIBRATION,
    "ood_auroc_lost": _MISTAKES,
    "scans_flagged_more": _MISTAKES,
    "ood_samples_flagged_less": _MISTAKES,
    "classes_changed": _CHANGES,
    MAPS_CHANGED: _CHANGES,
}
# Where nothing changed in n groups, the bootstrap's interval is empty, but up to 3/n may change (the rule of three;
# Hanley and Lippman-Hand 1983, https://doi.org/10.1001/jama.1983.03330370053031).
MIN_GROUPS = math.ceil(3 / _MISTAKES)


@dataclass(frozen=True)
class Form:
    """One form of a model on the held-out images.

    Attributes:
        scans: Its outputs for them.
        sample_scores: Its OOD scores of images that are no scans, (sample,).
        threshold: Its OOD threshold; None flags nothing, and then nothing is judged by it.
    """

    scans: Outputs
    sample_scores: NDArray[np.float64]
    threshold: float | None


@dataclass(frozen=True)
class Truth:
    """What is known of the held-out images.

    Attributes:
        labels: int64 (image,).
        groups: Images of one patient and copies of one image have one: int64 (image,).
        healthy: The label of the class without tumour; None where none is known, and missed tumours are not counted.
    """

    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    healthy: int | None


@dataclass(frozen=True)
class Harm:
    """One figure of the verdict; ``float32`` and ``int8`` are None where the figure compares the two itself."""

    float32: float | None
    int8: float | None
    harm: float
    interval: tuple[float, float]
    bound: float

    @property
    def is_allowed(self) -> bool:
        """Whether the whole interval is within the bound."""
        return self.interval[1] <= self.bound


@dataclass(frozen=True)
class Verdict:
    """What the guard found.

    Attributes:
        harms: By the names in ``BOUNDS``.
        images: How many images it was judged on.
        groups: How many groups they are.
    """

    harms: dict[str, Harm]
    images: int
    groups: int

    @property
    def failed(self) -> list[str]:
        """The names of the harms that are not allowed."""
        return [name for name, harm in self.harms.items() if not harm.is_allowed]

    def document(self) -> dict[str, Any]:
        """The verdict as JSON, for the metadata and the model card."""
        figures = {name: {**vars(harm), "interval": list(harm.interval)} for name, harm in self.harms.items()}
        return {"judged_against": "float32", "images": self.images, "groups": self.groups, "figures": rounded(figures)}

    def lines(self) -> Iterator[str]:
        """The verdict as a table, for people."""
        yield f"  {'':<25} float32    int8    harm  (95 % interval)      bound"
        for name, harm in self.harms.items():
            values = "  ".join(" " * 6 if value is None else f"{value:.4f}" for value in (harm.float32, harm.int8))
            low, high = harm.interval
            ends = f"({low:+.4f} to {high:+.4f})"
            mark = "" if harm.is_allowed else "  too much"
            yield f"  {name.replace('_', ' '):<25}  {values}  {harm.harm:+.4f} {ends}  {harm.bound:.4f}{mark}"


def judge(float32: Form, int8: Form, truth: Truth) -> Verdict:
    """Compare the int8 form with the float32 form."""
    scans, samples = len(truth.labels), len(int8.sample_scores)
    # Samples are drawn beside the scans, each a group of its own.
    groups = np.concatenate([truth.groups, truth.groups.max() + 1 + np.arange(samples)])
    changed = changes(float32.scans, int8.scans)

    def measured(weights: NDArray[np.float64]) -> tuple[Metrics, Metrics, Metrics]:
        before, after = (_figures(form, truth, weights) for form in (float32, int8))
        harms = {
            name: (after[name] - before[name]) * (-1 if name.endswith(("_lost", "_less")) else 1) for name in after
        }
        harms |= {name: float(np.average(change, weights=weights[:scans])) for name, change in changed.items()}
        return before, after, harms

    before, after, harms = measured(np.ones(scans + samples))
    intervals = resampled(groups, lambda weights: measured(weights)[2])
    return Verdict(
        {
            name: Harm(before.get(name), after.get(name), harm, tuple(intervals[name]), BOUNDS[name])
            for name, harm in harms.items()
        },
        scans,
        len(np.unique(truth.groups)),
    )


def _figures(form: Form, truth: Truth, weights: NDArray[np.float64]) -> dict[str, float]:
    """What a form does on weighted images, by the name of the harm that it is compared for."""
    labels, outputs = truth.labels, form.scans
    predicted, scans = outputs.probabilities.argmax(1), weights[: len(labels)]
    is_sample = np.arange(len(weights)) >= len(labels)
    scores = np.concatenate([outputs.scores, form.sample_scores])
    correct = predicted == labels
    figures = {"accuracy_lost": float(np.average(correct, weights=scans))}
    if truth.healthy is not None:
        tumours = scans * (labels != truth.healthy)
        figures["tumours_missed_more"] = float(np.average(predicted == truth.healthy, weights=tumours))
    figures["calibration_error_gained"] = calibration_error(outputs.probabilities.max(1), correct, scans) or 0.0
    figures["ood_auroc_lost"] = auroc(scores, is_sample, weights) or 0.0
    if form.threshold is not None:
        flagged = scores > form.threshold
        figures["scans_flagged_more"] = float(np.average(flagged, weights=weights * ~is_sample))
        figures["ood_samples_flagged_less"] = float(np.average(flagged, weights=weights * is_sample))
    return figures


def changes(float32: Outputs, int8: Outputs) -> dict[str, NDArray[np.float64]]:
    """How much of each image's response is another one, 0 to 1, (image,): its class, and the map of that class."""
    predicted = float32.probabilities.argmax(1)
    found = {"classes_changed": (int8.probabilities.argmax(1) != predicted).astype(np.float64)}
    if float32.maps is not None and int8.maps is not None:
        pairs = zip(_heat(float32.maps, predicted), _heat(int8.maps, predicted), strict=True)
        found[MAPS_CHANGED] = np.array([1 - correlation(first, second) for first, second in pairs])
    return found


def _heat(maps: NDArray[np.float64], classes: NDArray[np.intp]) -> NDArray[np.float64]:
    """The evidence for one class of each image, as the gateway draws it: (image, place)."""
    evidence = maps[np.arange(len(maps)), ..., classes] - maps.mean(-1)
    return np.clip(evidence, 0, None).reshape(len(maps), -1)


def correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Pearson's correlation of two maps' values, (place,), and 0 if it is negative; two even maps are the same."""
    spreads = first.std() * second.std()
    if spreads == 0:
        return float(first.std() == second.std())
    return max(0.0, float(((first - first.mean()) * (second - second.mean())).mean() / spreads))
