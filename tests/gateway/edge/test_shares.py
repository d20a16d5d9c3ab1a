"""Callers who have shares of the slots: who passes whom, who waits how long, and what it costs."""

import random
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest

from gateway.deadline import Deadline
from gateway.edge.admission import Admission, Overloaded, Slot
from gateway.keys import Caller

FAR = 600.0  # seconds
HALF, QUARTER, TENTH = (Caller(f"{share}", share=share) for share in (0.5, 0.25, 0.1))
A, B = Caller("a"), Caller("b")


def enter(admission: Admission, *callers: Caller | None, seconds: float = FAR) -> list[Future[Slot]]:
    return [admission.enter(Deadline(seconds), caller) for caller in callers]


def done(futures: list[Future[Slot]]) -> list[bool]:
    return [future.done() for future in futures]


def taught(slots: int, seconds: float = 10.0) -> Admission:
    """An admission that has learned that work takes so long."""
    admission = Admission(slots)
    for _ in range(20):
        for slot in [future.result(0) for future in enter(admission, *[None] * slots)]:
            slot.started -= seconds
            slot.release()
    return admission


def admitted(admission: Admission, caller: Caller | None, seconds: float) -> int:
    """How many requests of a caller with so much time are let in, before one is refused."""
    for number in range(100):
        try:
            admission.enter(Deadline(seconds), caller)
        except Overloaded:
            return number
    raise AssertionError("nobody was refused")


@pytest.mark.parametrize(
    ("slots", "share", "most"), [(4, 0.5, 2), (4, 0.7, 2), (4, 0.9, 3), (4, 1.0, 4), (4, 0.1, 1), (1, 0.5, 1)]
)
def test_a_caller_holds_its_share_and_at_least_one(slots, share, most):
    caller = Caller("x", share=share)
    admission = Admission(slots)
    assert done(enter(admission, *[caller] * slots)) == [True] * most + [False] * (slots - most)
    assert done(enter(admission, *[A] * slots)) == [True] * (slots - most) + [False] * most


def test_requests_without_a_caller_are_bounded_by_the_slots_alone():
    assert done(enter(Admission(4), *[None] * 5)) == [True] * 4 + [False]


def test_others_pass_who_has_its_share():
    admission = Admission(4)
    first, second, waits = enter(admission, HALF, HALF, HALF)
    others = enter(admission, A, None)
    assert done([first, second, waits, *others]) == [True, True, False, True, True]
    others[0].result(0).release()
    assert not waits.done()
    first.result(0).release()
    assert waits.done()


def test_free_slots_go_to_the_first_of_all_callers_who_have_room():
    admission = Admission(2)
    held = enter(admission, HALF, A)
    waiting = enter(admission, HALF, A, None, B, HALF, None)
    order = []
    # Before others, slots of the caller with a share come back: until one does, its requests are passed.
    for slot in (held[1], held[0]):
        slot.result(0).release()
        order.append([index for index, future in enumerate(waiting) if future.done()])
    for index in (1, 2, 0, 3, 4):
        waiting[index].result(0).release()
        order.append([index for index, future in enumerate(waiting) if future.done()])
    assert order == [[1], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]]


def test_a_release_gives_all_free_slots():
    admission = Admission(2, share=0.01)
    slow, quick = (future.result(0) for future in enter(admission, A, A))
    slow.started -= 0.02 * FAR  # twice as long as it may be held: one slot is left, until work is quick again
    slow.release()
    waiting = enter(admission, A, B)
    assert (admission.running, admission.waiting) == (1, 2)
    quick.release()
    assert done(waiting) == [True, True]


def test_a_caller_whose_share_has_grown_does_not_pass_itself():
    admission = Admission(4)
    (held,) = enter(admission, QUARTER)
    (waits,) = enter(admission, QUARTER)
    (later,) = enter(admission, Caller(QUARTER.name))
    assert done([waits, later]) == [False, False]
    held.result(0).release()
    assert done([waits, later]) == [True, True]


def test_who_waits_for_its_share_waits_long():
    admission = taught(slots=4)
    (held,) = enter(admission, QUARTER)
    # One slot, held for 10 s: 1.2 * n * 10 + 10 s. The third has a response after 40 s, and 6 s of doubt.
    assert admitted(admission, QUARTER, seconds=21.0) == 0
    assert admitted(admission, QUARTER, seconds=50.0) == 3
    # Two slots, both free: the last one would have a response after 25 s, and 3 s of doubt.
    assert admitted(admission, HALF, seconds=30.0) == 2 + 3
    held.result(0).release()
    assert admission.waiting == 2 + 3


def test_who_has_room_waits_for_its_turn_alone():
    admission = taught(slots=8)
    enter(admission, *[A] * 8)
    # A slot is free each 1.25 s: 1.2 * n * 1.25 + 10 s.
    assert admitted(admission, HALF, seconds=15.5) == 3
    assert admitted(admission, QUARTER, seconds=18.5) == 2  # the third must wait for one of these


def test_who_will_be_passed_is_not_before_others():
    admission = taught(slots=4)
    enter(admission, QUARTER, A, A, A)
    enter(admission, *[QUARTER] * 10)
    assert admission.waiting == 10
    # Three slots are for others, one after 3.3 s: 1.2 * n * 3.3 + 10 s.
    assert admitted(admission, B, seconds=25.0) == 3
    assert admission.waiting == 13


def test_who_has_its_share_takes_slots_from_others_all_the_same():
    admission = taught(slots=2)
    enter(admission, HALF, A, *[HALF] * 10)
    assert admitted(admission, B, seconds=40.0) == 2  # one slot remains: 1.2 * n * 10 + 10 s


def test_several_callers_are_passed():
    admission = taught(slots=4)
    enter(admission, QUARTER, HALF, HALF, A, *[QUARTER] * 20, *[HALF] * 20)
    assert admitted(admission, B, seconds=40.0) == 2


def test_who_needs_not_longer_than_all_is_not_passed():
    admission = taught(slots=2)
    enter(admission, HALF, A, A, HALF, A, A)
    assert admitted(admission, B, seconds=41.0) == 1  # the fifth: 1.2 * 5 * 5 + 10 s; the next would need 46 s


def test_a_caller_with_all_slots_is_before_who_comes_later():
    admission = taught(slots=2)
    enter(admission, *[A] * 10)
    with pytest.raises(Overloaded):
        enter(admission, B, seconds=40.0)
    with pytest.raises(Overloaded):
        enter(admission, QUARTER, seconds=40.0)
    enter(admission, B, seconds=70.0)


def test_a_review_refuses_who_is_hopeless_by_its_own_share_alone():
    admission = Admission(4)
    held = enter(admission, QUARTER, A, A, A)
    own, other = enter(admission, *[QUARTER] * 5, seconds=35.0), enter(admission, B, seconds=35.0)
    for future in held:
        future.result(0).started -= 10.0  # all runs for 10 s already
    admission.review()
    assert done(own) == [False, False, True, True, True]
    assert isinstance(own[2].exception(0), Overloaded)
    assert not other[0].done()
    assert admission.waiting == 3


def test_a_review_goes_along_in_the_order_in_which_requests_came():
    admission = Admission(2)
    held = enter(admission, A, A)
    waiting = enter(admission, A, B, A, B, A, seconds=32.0)
    for future in held:
        future.result(0).started -= 10.0
    admission.review()
    assert done(waiting) == [False, False, False, False, True]


def test_who_has_left_is_before_nobody():
    admission = taught(slots=1)
    enter(admission, A)
    left = enter(admission, *[None] * 20, *[A] * 20)
    assert [future.cancel() for future in left] == [True] * 40
    assert admission.waiting == 0
    enter(admission, B, seconds=25.0)


@dataclass(frozen=True)
class Watched(Caller):
    """A caller that counts how often the admission looks at it."""

    looks: list[str] = field(default_factory=list, compare=False)

    def __getattribute__(self, name: str):
        if name == "share":
            object.__getattribute__(self, "looks").append(name)
        return object.__getattribute__(self, name)


def test_what_a_request_costs_does_not_depend_on_how_many_wait():
    admission = Admission(4)
    crowd = Watched("crowd", share=0.5)
    enter(admission, *[crowd] * 3, *[None] * 2)
    looks = []
    for _ in range(2):
        crowd.looks.clear()
        (other,) = enter(admission, B)
        other.cancel()
        (mine,) = enter(admission, crowd)
        mine.cancel()
        admission.enter(Deadline(FAR), None).cancel()
        looks.append(len(crowd.looks))
        enter(admission, *[crowd] * 200)
    assert looks[0] == looks[1] > 0


def test_whatever_happens_slots_go_to_the_first_who_have_room():
    """Many random steps, beside the simplest program that does the same."""
    chance = random.Random(5)
    callers = [None, A, B, HALF, QUARTER, TENTH, Caller("most", share=0.9)]
    for slots in (1, 2, 5, 16):
        admission = Admission(slots)
        waiting: list[tuple[Caller | None, Future[Slot]]] = []
        held: list[Slot] = []
        futures = []
        for _ in range(1500):
            match chance.choices(("enter", "release", "leave", "review"), (50, 40, 6, 4))[0]:
                case "enter":
                    caller = chance.choice(callers)
                    waiting.append((caller, *enter(admission, caller)))
                    futures.append(waiting[-1][1])
                case "release" if held:
                    held.pop(chance.randrange(len(held))).release()
                case "leave" if waiting:
                    assert waiting.pop(chance.randrange(len(waiting)))[1].cancel()
                case "review":
                    admission.review()
            for caller, future in list(waiting):
                share = slots if caller is None else max(1, int(caller.share * slots))
                has_room = len(held) < slots and sum(slot.caller == caller for slot in held) < share
                assert future.done() == has_room
                if has_room:
                    held.append(future.result(0))
                    waiting.remove((caller, future))
            assert (admission.running, admission.waiting) == (len(held), len(waiting))
        while held:
            held.pop().release()
            for caller, future in list(waiting):
                if future.done():
                    held.append(future.result(0))
                    waiting.remove((caller, future))
        assert all(future.done() for future in futures)
        assert (admission.running, admission.waiting) == (0, 0)
