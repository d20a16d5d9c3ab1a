"""The de-duplicated test set."""

from tests.training.evaluate.audited_groups import audited_groups
from training.data.data_set import DataSet
from training.evaluate.unseen import unseen


def test_unseen_are_test_images_without_a_training_image_in_their_group_and_one_of_each_set_of_copies(
    squares: DataSet,
) -> None:
    first, second, third, fourth = squares.testing[:4]
    train = squares.training[0]
    assert unseen(squares, audited_groups(squares, {}, {})).all()
    of_training = audited_groups(squares, {train: 900, second: 900}, {})  # no copy, but the same patient
    assert unseen(squares, of_training).tolist() == [True, False, *[True] * 10]
    of_each_other = audited_groups(
        squares, dict.fromkeys((first, third, fourth), 900), dict.fromkeys((first, fourth), 901)
    )
    assert unseen(squares, of_each_other).tolist() == [True, True, True, False, *[True] * 8]
    seen_copy = audited_groups(squares, dict.fromkeys((train, first, third), 900), dict.fromkeys((first, third), 901))
    assert unseen(squares, seen_copy).tolist() == [False, True, False, *[True] * 9]
