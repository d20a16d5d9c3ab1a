"""Who waits for a slot: a queue for each caller, since only its head can be the next one.

One caller may have hundreds waiting who have no room. So what is done for each request costs as much as there are
callers who wait, and never as much as there are requests.
"""

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from gateway.deadline import Deadline
from gateway.edge.line import name_of
from gateway.keys import Caller


@dataclass(frozen=True)
class Waiter:
    """A request that waits.

    Attributes:
        deadline: Of its response.
        caller: Who sent it.
        since: When it came, in seconds by the admission's clock.
        future: Takes the slot.
    """

    deadline: Deadline
    caller: Caller | None
    since: float
    future: Future[Any]


class Queues:
    """The requests that wait, by their callers; not safe to share between threads."""

    def __init__(self) -> None:
        # Ordered dictionaries lose their first entry as quickly as any other one, also after many.
        self._by_name: dict[str, OrderedDict[Future[Any], Waiter]] = {}

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._by_name.values())

    def __iter__(self) -> Iterator[Waiter]:
        """All, in the order in which they came."""
        return heapq.merge(*(queue.values() for queue in self._by_name.values()), key=lambda waiter: waiter.since)

    def heads(self) -> list[Waiter]:
        """The first of each caller."""
        return [next(iter(queue.values())) for queue in self._by_name.values()]

    def counts(self) -> list[tuple[Caller | None, int]]:
        """How many wait, for each caller."""
        return [(next(iter(queue.values())).caller, len(queue)) for queue in self._by_name.values()]

    def has(self, caller: Caller | None) -> bool:
        """Whether a request of this caller waits."""
        return name_of(caller) in self._by_name

    def add(self, waiter: Waiter) -> None:
        """Put a request behind the others of its caller."""
        self._by_name.setdefault(name_of(waiter.caller), OrderedDict())[waiter.future] = waiter

    def remove(self, caller: Caller | None, future: Future[Any]) -> None:
        """Take a caller's request out; nothing happens if it is not there."""
        name = name_of(caller)
        if queue := self._by_name.get(name):
            queue.pop(future, None)
            if not queue:
                del self._by_name[name]
