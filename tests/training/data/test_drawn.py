"""The test images of a folder without any: whole patients, whole sets of copies, every class in proportion."""

from collections import Counter, defaultdict

import pytest

from training.data.drawn import SHARE, draw
from training.data.errors import DataError
from training.layout import TESTING

FILES = [f"{name}/{number}.png" for name, count in (("a", 300), ("b", 150), ("c", 60)) for number in range(count)]
CLASSES = {file: file[0] for file in FILES}
HASHES = {file: file for file in FILES}


def test_each_class_gives_about_a_fifth_and_the_same_images_each_time() -> None:
    splits = draw(CLASSES, {}, HASHES)
    tested = [file for file in FILES if splits[file] == TESTING]
    assert Counter(CLASSES[file] for file in tested) == {"a": 300 * SHARE, "b": 150 * SHARE, "c": 60 * SHARE}
    assert draw(dict(reversed(CLASSES.items())), {}, HASHES) == splits


def test_no_patient_is_parted_and_no_copy_of_a_file() -> None:
    patients = {file: f"{file[0]}{number // 7}" for number, file in enumerate(FILES) if number % 3}
    hashes = HASHES | {file: f"copies {number % 11}" for number, file in enumerate(FILES) if number < 40}
    splits = draw(CLASSES, patients, hashes)
    for partition in (patients, hashes):
        sides = defaultdict(set)
        for file, key in partition.items():
            sides[key].add(splits[file])
        assert all(len(split) == 1 for split in sides.values())
    share = sum(split == TESTING for split in splits.values()) / len(FILES)
    assert share == pytest.approx(SHARE, abs=0.05)


def test_copies_in_two_classes_and_of_two_patients_stay_together() -> None:
    hashes = HASHES | dict.fromkeys(("a/0.png", "b/0.png"), "copy")
    patients = dict.fromkeys(("b/0.png", "c/0.png"), 7)
    splits = draw(CLASSES, patients, hashes)
    assert len({splits[file] for file in ("a/0.png", "b/0.png", "c/0.png")}) == 1


def test_a_class_of_two_patients_is_too_small() -> None:
    with pytest.raises(DataError, match="class c needs images of 3 or more patients"):
        draw(CLASSES, {file: int(file[2]) % 2 for file in FILES if file[0] == "c"}, HASHES)
