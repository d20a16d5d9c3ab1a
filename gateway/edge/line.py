"""How long those in the queue wait: for a slot, and where callers have shares of the slots, for one of theirs."""

from bisect import bisect_left, insort
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
    """The queue, gone along from its head: who waits before a request, and so how long it takes.

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
        self._all_before = 0
        self._shares: dict[str, int] = {}  # of those who are before
        # By how often they get their whole shares until all of their requests have a slot; kept in order, for a look at
        # hundreds who wait asks for it once for each of them.
        self._in_order: list[tuple[float, str]] = []

    def go_past(self, caller: Caller | None, requests: int = 1) -> None:
        """So many requests of this caller stay where they are; what follows them is looked at."""
        name, share = name_of(caller), share_of(caller, self._slots)
        if name in self._shares:
            del self._in_order[bisect_left(self._in_order, self._rounds_of(name))]
        self._before[name] += requests
        self._all_before += requests
        self._shares[name] = share
        insort(self._in_order, self._rounds_of(name))

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
        """Seconds until a request of this caller that is here has a slot.

        Two things must come true, and the later one counts: its caller's share has room for it, after its own requests
        before it; and the slots have taken in all who are before it and will not be passed.
        """
        name, share = name_of(caller), share_of(caller, self._slots)
        before = self._before[name]
        own = (before + 1) / share if before + self._running[name] >= share else 0.0
        rounds = (self._all_before + 1) / self._slots  # if nobody is passed
        if own < rounds and self._in_order and rounds < self._in_order[-1][0]:
            rounds = self._rounds_of_all(name)
        return max(own, rounds) * self._mean

    def _rounds_of_all(self, name: str) -> float:
        """How often all slots must become free until they have taken in who is before a request, and then itself.

        Each time another caller gets as many slots as its share. Where its requests need more times than all together,
        those that remain are passed: then neither its requests nor its slots count for the rest. That makes the time of
        the rest shorter, and so further callers may be passed; who needs most times is looked at first. Some slots
        always remain: with a share of all that are left, nobody needs more times than all together.
        """
        before, slots = self._all_before + 1, self._slots
        for rounds, other in reversed(self._in_order):
            if other == name:
                continue
            if rounds * slots <= before:
                break
            before -= self._before[other]
            slots -= self._shares[other]
        return before / slots

    def _rounds_of(self, name: str) -> tuple[float, str]:
        return self._before[name] / self._shares[name], name
