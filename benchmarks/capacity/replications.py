"""The mean of a figure over replications, with its interval, and how it is written."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from scipy.special import stdtrit

_CONFIDENCE = 0.95
Result = TypeVar("Result")


@dataclass(frozen=True)
class Estimate:
    """A mean and half the width of its 95 % interval (Student's t); infinite for a single value."""

    mean: float
    half: float

    @property
    def low(self) -> float:
        return self.mean - self.half

    @property
    def high(self) -> float:
        return self.mean + self.half


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of values that are independent of each other; those that are NaN do not count."""
    known = [value for value in values if not math.isnan(value)]
    if len(known) < 2:
        return Estimate(known[0] if known else math.nan, math.inf)
    quantile = float(stdtrit(len(known) - 1, (1 + _CONFIDENCE) / 2))
    return Estimate(statistics.fmean(known), quantile * statistics.stdev(known) / math.sqrt(len(known)))


def over(results: Iterable[Result], figure: Callable[[Result], float]) -> Estimate:
    """The estimate of a figure of each result."""
    return estimate([figure(result) for result in results])


def milliseconds(value: Estimate) -> str:
    """Seconds as text, with their interval: ``104 ± 3 ms``."""
    return f"{short(1e3 * value.mean)}{_interval(1e3 * value.half)} ms" if math.isfinite(value.mean) else "none"


def percent(value: Estimate) -> str:
    """A share as text, with its interval: ``2.4 ± 0.4 %``."""
    return f"{short(100 * value.mean)}{_interval(100 * value.half)} %"


def short(value: float) -> str:
    """A number with as many digits as say something."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _interval(half: float) -> str:
    return f" ± {short(half)}" if math.isfinite(half) else ""
