"""How long those in the queue wait: for a slot, and where callers have shares of the slots, for one of theirs."""

from collections import Counter

from gateway.keys import Caller

# Who asks for a place in the queue must have room for this many deviations above the usual time, as in RFC 6298, and
# for a wait that is longer than expected. Who has a place keeps it with less: who is let in and then refused has waited
# for nothing.
_DEVIATIONS_TO_ENTER, _WAIT_TO_ENTER = 4, 1.2
_DEVIATIONS_TO_STAY = 2


def share_of(caller: Caller | None, slots: int) -> int:
    """How many of so many slots a caller's requests may hold: at least one."""
    return slots if caller is None else max(1, int(caller.share * slots))


def name_of(caller: Caller | None) -> str:
    """What a caller's slots are counted under; those without a name are one."""
    return caller.name if caller else ""


class Line:
    """The queue, gone along from its head: how many wait before a request, and so how long it takes.

    Args:
        mean: How long a slot is held now, in seconds.
        deviation: How much that varies, in seconds.
        slots: How many there are now.
        running: How many are held, by the callers' names.
    """

    def __init__(self, mean: float, deviation: float, slots: int, running: Counter[str]) -> None:
        self._mean = mean
        self._deviation = deviation
        self._slots = slots
        self._running = running
        self._before: Counter[str] = Counter()

    def go_past(self, caller: Caller | None) -> None:
        """A request of this caller stays where it is; the next one is looked at."""
        self._before[name_of(caller)] += 1

    def to_enter(self, caller: Caller | None) -> float:
        """Seconds that a request of this caller may take that joins the queue here."""
        return _WAIT_TO_ENTER * self._wait(caller) + self._mean + _DEVIATIONS_TO_ENTER * self._deviation

    def to_stay(self, caller: Caller | None) -> float:
        """Seconds that a request of this caller probably takes that is here in the queue."""
        return self._wait(caller) + self.at_once()

    def at_once(self) -> float:
        """Seconds that a request probably takes whose turn has come."""
        return self._mean + _DEVIATIONS_TO_STAY * self._deviation

    def _wait(self, caller: Caller | None) -> float:
        wait = self._interval(self._slots, self._running.total()) * (self._before.total() + 1)
        if caller is None or caller.share == 1:
            return wait
        own = self._interval(share_of(caller, self._slots), self._running[caller.name])
        return max(wait, own * (self._before[caller.name] + 1))

    def _interval(self, slots: int, running: int) -> float:
        """The mean time from one slot that becomes free to the next; 0 if one is free."""
        return self._mean / slots if running >= slots else 0.0
