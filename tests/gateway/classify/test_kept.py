import gc

import numpy as np
import pytest

from brain_tumor.image import BrokenImage, FileFacts
from brain_tumor.metadata import ImageSpec
from brain_tumor.preprocess import Prepared, Preprocessor
from gateway.classify.kept import ByteBudget, Kept

SPEC, OTHER = ImageSpec(2, 3), ImageSpec(4, 5)
SIZE = 2 * 3 * 3
BAD = BrokenImage("bad")


def prepared(value: int, other: bool = False) -> Prepared:
    second = np.full((1, 4, 5, 3), value, np.uint8) if other else None
    return Prepared(np.full((1, 2, 3, 3), value, np.uint8), None, FileFacts(), 64, second)


def free(budget: ByteBudget) -> int:
    """How many bytes it has left, found by taking them."""
    size = 0
    while budget.take(1):
        size += 1
    budget.give_back(size)
    return size


@pytest.fixture
def budget() -> ByteBudget:
    return ByteBudget(1000)


def test_what_was_prepared_in_this_way_is_found(budget):
    kept = Kept(budget)
    first = prepared(1)
    kept.add(0, SPEC, first)
    kept.add(1, SPEC, BAD)
    assert (kept.find(0, SPEC), kept.find(1, SPEC)) == (first, BAD)
    assert kept.find(2, SPEC) is None
    assert kept.find(0, OTHER) is None


def test_what_was_prepared_in_both_ways_is_found_in_both(budget):
    kept = Kept(budget, Preprocessor(OTHER))
    kept.add(0, SPEC, prepared(1, other=True))
    kept.add(1, SPEC, prepared(2))  # needs more pixels than were read
    assert kept.find(0, OTHER).batch.shape == (1, 4, 5, 3)
    assert kept.find(1, OTHER) is None
    kept.add(1, OTHER, prepared(2))
    assert kept.find(0, OTHER) is not None
    assert kept.find(1, SPEC) is not None


def test_another_way_forgets_the_first(budget):
    kept = Kept(budget)
    kept.add(0, SPEC, prepared(1))
    kept.add(1, OTHER, prepared(2))
    assert kept.find(0, SPEC) is None
    assert free(budget) == 1000 - SIZE
    assert kept.hand_over(OTHER, 2) is None  # the first is missing


def test_memory_is_bounded_and_comes_back():
    budget = ByteBudget(2 * SIZE + 1)
    kept, another = Kept(budget), Kept(budget)
    for index in range(3):
        kept.add(index, SPEC, prepared(index))
    assert [kept.find(index, SPEC) is None for index in range(3)] == [False, False, True]
    another.add(0, SPEC, prepared(0))
    assert another.find(0, SPEC) is None
    assert kept.hand_over(SPEC, 3) is None
    kept.release()
    kept.release()
    assert free(budget) == 2 * SIZE + 1


@pytest.mark.parametrize(("spec", "shape"), [(SPEC, (1, 2, 3, 3)), (OTHER, (1, 4, 5, 3))])
def test_pixels_are_handed_over_in_order(budget, spec, shape):
    kept = Kept(budget, Preprocessor(OTHER))
    for index, image in ((2, prepared(2, other=True)), (1, BAD), (0, prepared(0, other=True))):
        kept.add(index, SPEC, image)
    held = kept.hand_over(spec, 2)
    assert held.spec == spec
    assert [array.shape for array in held.pixels] == [shape] * 2
    assert [int(array.max()) for array in held.pixels] == [0, 2]
    kept.release()
    assert free(budget) == 1000 - 2 * int(np.prod(shape))
    held.release()
    held.release()
    assert free(budget) == 1000


def test_pixels_that_nobody_wants_any_more_come_back_by_themselves(budget):
    kept = Kept(budget)
    kept.add(0, SPEC, prepared(1))
    held = kept.hand_over(SPEC, 1)
    assert free(budget) == 1000 - SIZE
    del held
    gc.collect()
    assert free(budget) == 1000


def test_what_was_not_prepared_in_that_way_is_not_handed_over(budget):
    kept = Kept(budget, Preprocessor(OTHER))
    kept.add(0, SPEC, prepared(1))  # too small a part of a JPEG was read for the other way
    assert kept.hand_over(OTHER, 1) is None
    assert kept.hand_over(ImageSpec(6, 7), 1) is None
    assert kept.hand_over(SPEC, 1) is not None
