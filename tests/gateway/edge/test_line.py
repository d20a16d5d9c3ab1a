"""How long the line says that a request waits, beside how long it would wait if all work took the same time."""

import heapq
import itertools
import random
from collections import Counter

from gateway.edge.line import Line, name_of, share_of
from gateway.keys import Caller

SECONDS = 2.0  # that each slot is held
CALLERS = [None, *(Caller(f"{share}", share=share) for share in (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0))]


def has_room(caller: Caller | None, running: list[Caller | None], slots: int) -> bool:
    return len(running) < slots and running.count(caller) < share_of(caller, slots)


def wait_of_last(slots: int, running: list[tuple[float, Caller | None]], waiting: list[Caller | None]) -> float:
    """When the last of those who wait has a slot, in seconds; those who run end at these moments."""
    numbers = itertools.count()  # among equal moments, first come first served
    ends = [(end, next(numbers), caller) for end, caller in running]
    heapq.heapify(ends)
    queue, now = list(enumerate(waiting, start=1)), 0.0
    while True:
        for number, caller in list(queue):
            if has_room(caller, [running for _, _, running in ends], slots):
                if number == len(waiting):
                    return now
                queue.remove((number, caller))
                heapq.heappush(ends, (now + SECONDS, next(numbers), caller))
        now, _, _ = heapq.heappop(ends)


def test_a_line_says_how_long_a_request_waits():
    chance = random.Random(3)
    errors = []  # in times that a slot is held
    for _ in range(1000):
        slots = chance.choice((1, 2, 4, 8, 16))
        callers = chance.sample(CALLERS, chance.randint(1, 4))
        came = [chance.choice(callers) for _ in range(2 * slots + chance.choice((0, 1, 5, 20)))]
        came += [chance.choice(callers)] * chance.choice((0, 0, 20))
        chance.shuffle(came)
        running: list[tuple[float, Caller | None]] = []
        waiting: list[Caller | None] = []
        for caller in came:
            if has_room(caller, [caller for _, caller in running], slots):
                running.append((chance.random() * SECONDS, caller))
            else:
                waiting.append(caller)
        line = Line(SECONDS, 0.0, slots, Counter(name_of(caller) for _, caller in running))
        for caller in waiting:
            line.go_past(caller)
        newcomer = chance.choice(callers)
        wait = wait_of_last(slots, running, [*waiting, newcomer])
        errors.append((line.to_stay(newcomer) - line.at_once() - wait) / SECONDS)
    assert sum(map(abs, errors)) / len(errors) < 0.4
    # A caller's slots become free at once or apart, which the line does not know.
    assert min(errors) > -1.5
    assert max(errors) < 2.0
