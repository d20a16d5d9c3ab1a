"""When to send a request again: as the service asks, and otherwise later each time, never all clients at once."""

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_SPREAD = 0.25  # of the seconds that the service asks for; who was refused together does not come back together


@dataclass(frozen=True)
class Retry:
    """How often, and how long, to try.

    Attributes:
        attempts: How often a request is sent at most.
        patience: Seconds from the first attempt after which no further one begins.
        first_wait: Seconds before the second attempt at most, where the service does not say when. Doubles each time.
        longest_wait: Where that doubling ends, in seconds.
    """

    attempts: int = 8
    patience: float = 120.0
    first_wait: float = 0.5
    longest_wait: float = 20.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError("attempts must be at least 1")
        if not (self.patience >= 0 and self.first_wait >= 0 and self.longest_wait >= 0):
            raise ValueError("patience, first_wait and longest_wait are seconds, from 0")

    def wait(self, failed: int, retry_after: float | None = None) -> float:
        """Seconds until the next attempt.

        Args:
            failed: How many attempts have failed, from 1.
            retry_after: Seconds that the service asked for. The wait is never shorter.
        """
        if retry_after is not None:
            return retry_after * (1 + _SPREAD * random.random())  # noqa: S311 - spreads load, hides nothing
        doubled = self.first_wait * 2.0 ** min(failed - 1, 30)
        return random.random() * min(doubled, self.longest_wait)  # noqa: S311


def seconds_of(retry_after: str | None, now: datetime | None = None) -> float | None:
    """Read a ``Retry-After`` header, which holds seconds or a date; None if there is none, or it makes no sense."""
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            date = parsedate_to_datetime(retry_after)
        except ValueError:
            return None
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (date - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
