"""How the canary did beside the model server that serves: the numbers, and a table of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scripts.canary.samples import Samples, buckets, by_label, total

_Z = 1.96  # of a 95 % interval
_ANSWERED, _COMPARED = "answered", "compared"
# The gateway had no room for the comparison, which says nothing of the canary.
_NOT_TRIED = {"dropped"}


@dataclass(frozen=True)
class Report:
    """What is known of a canary. A number that nothing was measured for is NaN.

    Attributes:
        requests: The requests that were to be answered by the canary, by outcome.
        shadows: Those that it was to answer for the comparison alone, by outcome.
        images: How many images both models classified.
        failures: The share of all these that it did not answer.
        agreement: The share of the images in which both predict one class, and its 95 % interval.
        distance: Mean total variation distance between the class probabilities of an image, 0 to 1.
        distance_95: 95 % of the images have at most this distance.
        seconds: Seconds of a call to stable and canary, by label: median, and what 95 % take at most.
    """

    requests: Mapping[str, float]
    shadows: Mapping[str, float]
    images: float
    failures: float
    agreement: tuple[float, float, float]
    distance: float
    distance_95: float
    seconds: Mapping[str, tuple[float, float]]

    @property
    def latency_ratio(self) -> float:
        """What 95 % of the canary's calls take at most, divided by the same of the model server's."""
        return _divide(self.seconds["canary"][1], self.seconds["stable"][1])

    def table(self) -> str:
        """The report for a person."""
        share, low, high = self.agreement
        lines = {
            "requests for the canary": _outcomes(self.requests),
            "requests for comparison": _outcomes(self.shadows),
            "not answered by it": _percent(self.failures),
            "images compared": f"{self.images:,.0f}",
            "of one class": f"{_percent(share)} (95 % interval {_percent(low)} to {_percent(high)})",
            "distance": f"mean {_number(self.distance)}, 95 % at most {_number(self.distance_95)}",
            **{
                f"time of a call, {label}": f"median {_milliseconds(half)}, 95 % at most {_milliseconds(most)}"
                for label, (half, most) in self.seconds.items()
            },
            "its time by stable's": _number(self.latency_ratio),
        }
        width = max(map(len, lines))
        return "\n".join(f"{name:{width}}  {value}" for name, value in lines.items())


def report(samples: Samples) -> Report:
    """Make the report of what the gateways counted."""
    requests = by_label(samples, "gateway_canary_requests_total", "outcome")
    shadows = by_label(samples, "gateway_shadow_requests_total", "outcome")
    tried = sum(value for outcomes in (requests, shadows) for name, value in outcomes.items() if name not in _NOT_TRIED)
    done = requests.get(_ANSWERED, 0) + shadows.get(_COMPARED, 0)
    images = total(samples, "gateway_shadow_images_total")
    distances = buckets(samples, "gateway_shadow_distance")
    calls = {label: buckets(samples, "gateway_model_seconds", label=label) for label in ("stable", "canary")}
    return Report(
        requests=requests,
        shadows=shadows,
        images=images,
        failures=_divide(tried - done, tried),
        agreement=_share(total(samples, "gateway_shadow_agreements_total"), images),
        distance=_divide(total(samples, "gateway_shadow_distance_sum"), distances.get(math.inf, 0)),
        distance_95=quantile(distances, 0.95),
        seconds={label: (quantile(found, 0.5), quantile(found, 0.95)) for label, found in calls.items()},
    )


def quantile(histogram: Mapping[float, float], share: float) -> float:
    """The value that this share is at most, as Prometheus estimates it: as if values were even within a bucket.

    Infinite if it is above the last finite bound, and NaN for an empty histogram.
    """
    if not histogram or not histogram[math.inf]:
        return math.nan
    rank = share * histogram[math.inf]
    below, counted = 0.0, 0.0
    for bound, count in histogram.items():
        if count >= rank:
            return below + (bound - below) * (rank - counted) / (count - counted) if bound < math.inf else math.inf
        below, counted = bound, count
    return math.inf


def _share(part: float, whole: float) -> tuple[float, float, float]:
    """A share and its 95 % interval by Wilson's formula."""
    if not whole:
        return math.nan, math.nan, math.nan
    share = part / whole
    middle = share + _Z**2 / (2 * whole)
    half = _Z * math.sqrt(share * (1 - share) / whole + _Z**2 / (4 * whole**2))
    below = 1 + _Z**2 / whole
    return share, (middle - half) / below, (middle + half) / below


def _divide(one: float, other: float) -> float:
    return one / other if other else math.nan


def _outcomes(counts: Mapping[str, float]) -> str:
    parts = [f"{count:,.0f} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1]) if count]
    return ", ".join(parts) or "none"


def _percent(share: float) -> str:
    return _number(100 * share, 1) + " %" if share == share else "-"


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if value == value else "-"


def _milliseconds(seconds: float) -> str:
    if seconds == math.inf:
        return "more than is measured"
    return f"{1000 * seconds:.0f} ms" if seconds == seconds else "-"
