"""A moving mean and deviation of times, as TCP estimates round trips (Jacobson 1988; RFC 6298, section 2.3)."""

_MEAN_WEIGHT = 1 / 8  # of the newest time
_DEVIATION_WEIGHT = 1 / 4


def moved(mean: float, deviation: float, seconds: float) -> tuple[float, float]:
    """The mean and the deviation from it, in seconds, after another time."""
    new_deviation = deviation + _DEVIATION_WEIGHT * (abs(seconds - mean) - deviation)
    return mean + _MEAN_WEIGHT * (seconds - mean), new_deviation
