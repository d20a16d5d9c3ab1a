import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.deadline import ClientLeft, Deadline, DeadlineExceeded
from gateway.edge.admission import Admission, Overloaded, Slot
from tests.gateway.fake_model_server import wait_for

FAR = 60.0  # seconds


def taught(slots: int, seconds: float, at_a_time: int | None = None) -> Admission:
    """An admission that has learned that work takes so long, with all slots taken or with so many."""
    admission = Admission(slots)
    for _ in range(20):
        taken = [admission.enter(Deadline(FAR)).result(0) for _ in range(at_a_time or slots)]
        for slot in taken:
            slot.started -= seconds
            slot.release()
    return admission


def take(admission: Admission) -> list[Slot]:
    """Take all free slots."""
    slots = []
    with contextlib.suppress(Overloaded):
        while (future := admission.enter(Deadline(FAR))).done():
            slots.append(future.result(0))
        future.cancel()
    return slots


def test_who_comes_first_is_served_first():
    admission = Admission(2)
    slots = take(admission)
    waiting = [admission.enter(Deadline(FAR)) for _ in range(3)]
    assert (admission.running, len(slots)) == (2, 2)
    assert [future.done() for future in waiting] == [False, False, False]
    for number, slot in enumerate([*slots, None]):
        (slot or waiting[0].result(0)).release()
        assert [future.done() for future in waiting] == [index <= number for index in range(3)]


def test_a_slot_is_given_back_once():
    admission = Admission(1)
    with admission.slot(Deadline(FAR)) as slot:
        slot.release()
        other = admission.enter(Deadline(FAR)).result(0)
    assert admission.running == 1
    other.release()
    assert admission.running == 0


def test_who_has_left_keeps_no_place_in_the_queue():
    admission = Admission(1)
    (slot,) = take(admission)
    left, stays = admission.enter(Deadline(FAR)), admission.enter(Deadline(FAR))
    assert left.cancel()
    slot.release()
    stays.result(0).release()
    assert (admission.running, admission.waiting) == (0, 0)


def test_who_cannot_be_served_in_time_is_refused_at_once():
    admission = taught(slots=2, seconds=1.0)
    slots = take(admission)
    for _ in range(6):  # a slot is free each half second: the sixth would have its response after about 4 s
        admission.enter(Deadline(5.0))
    with pytest.raises(Overloaded) as refusal:
        for _ in range(3):
            admission.enter(Deadline(5.0))
    assert refusal.value.retry_after == 1
    with pytest.raises(Overloaded) as refusal:
        admission.enter(Deadline(1.0))
    assert refusal.value.retry_after >= 4
    assert len(slots) == 2


def test_work_shares_its_cpu():
    admission = taught(slots=8, seconds=0.5, at_a_time=2)
    take(admission)  # 8 at a time will take four times as long: a slot is free each quarter of a second
    for _ in range(9):
        admission.enter(Deadline(5.0))
    with pytest.raises(Overloaded):
        for _ in range(3):
            admission.enter(Deadline(5.0))


def test_a_free_slot_is_given_even_if_work_is_usually_too_slow():
    admission = taught(slots=1, seconds=10.0)
    admission.enter(Deadline(5.0)).result(0).release()


def test_work_that_hangs_makes_those_who_wait_hopeless():
    admission = taught(slots=1, seconds=0.1)
    (slot,) = take(admission)
    waiting = admission.enter(Deadline(5.0))
    admission.review()
    assert not waiting.done()
    slot.started -= 6.0  # it runs for 6 s already
    admission.review()
    with pytest.raises(Overloaded):
        waiting.result(0)
    assert admission.waiting == 0


def test_who_has_waited_in_vain_does_not_get_the_slot():
    admission = Admission(1)
    (slot,) = take(admission)
    late, in_time = admission.enter(Deadline(0.05)), admission.enter(Deadline(FAR))
    time.sleep(0.06)
    slot.release()
    with pytest.raises(Overloaded):
        late.result(0)
    in_time.result(0)


@pytest.mark.parametrize(("cancel", "error"), [(True, ClientLeft), (False, DeadlineExceeded)])
def test_no_place_for_who_is_gone(cancel, error):
    deadline = Deadline(FAR if cancel else 1e-6)
    if cancel:
        deadline.cancel()
    with pytest.raises(error):
        Admission(1).enter(deadline)


def test_a_thread_that_waits_goes_on_when_its_client_leaves():
    admission = Admission(1)
    (slot,) = take(admission)
    deadline = Deadline(FAR)

    def wait() -> None:
        with admission.slot(deadline):
            pass

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait)
        wait_for(lambda: admission.waiting == 1)
        deadline.cancel()
        with pytest.raises(ClientLeft):
            waiting.result(10)
    slot.release()
    assert admission.running == 0


def test_many_threads_never_hold_more_slots_than_there_are():
    waits: list[float] = []
    admission = Admission(3, waits.append)
    lock, now, most = threading.Lock(), 0, 0

    def work(_: int) -> None:
        nonlocal now, most
        with admission.slot(Deadline(FAR)):
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.001)
            with lock:
                now -= 1

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(120)))
    assert most == 3
    assert len(waits) == 120
    assert (admission.running, admission.waiting) == (0, 0)


def burst(admission: Admission, seconds: float) -> int:
    """Take all slots that are given, for work that is done one after the other; return how many that are."""
    slots = take(admission)
    for number, slot in enumerate(slots, start=1):
        slot.started -= number * seconds
        slot.release()
    return len(slots)


def test_fewer_slots_where_all_would_take_a_large_part_of_the_time_limit():
    admission = Admission(16, share=1 / 3)  # of FAR: 20 s
    assert burst(admission, 2.4) == 16
    assert burst(admission, 2.4) == 8
    assert 2 < burst(admission, 4.9) < 10
    assert burst(admission, 4.9) == 4
    for _ in range(3):
        burst(admission, 2 * FAR)
    assert burst(admission, 0.1) == 1  # never none
    for _ in range(50):
        burst(admission, 0.1)
    assert burst(admission, 0.1) == 16


def test_all_slots_where_work_is_quick_or_its_time_depends_on_others():
    quick, others = Admission(16, share=1 / 3), Admission(4)
    assert {burst(quick, 1.0) for _ in range(5)} == {16}
    assert {burst(others, FAR) for _ in range(5)} == {4}
