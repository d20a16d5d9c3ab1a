"""Which images of a folder are labelled, and how they are chosen."""

import numpy as np
import pytest

from converter.check.labelled import class_folders, labelled

NAMES = ("glioma", "no tumor", "pituitary")


def lay_out(folder, names, count=3):
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / f"{number:03}.png").touch()
    return folder


@pytest.mark.parametrize(
    "parts, expected",
    [
        (["a", "b"], ["a", "b"]),
        (["Training/a", "Training/b", "Testing/c", "Testing/d"], ["Testing/c", "Testing/d"]),
        (["train/a", "train/b"], ["train/a", "train/b"]),
        (["train", "test"], []),
        (["a"], []),
        ([], []),
    ],
)
def test_the_folders_of_the_classes(tmp_path, parts, expected):
    lay_out(tmp_path, parts)
    (tmp_path / "empty").mkdir()
    assert class_folders(tmp_path) == [tmp_path / part for part in expected]


def test_names_differ_in_case_and_separators_alone(tmp_path):
    folders = class_folders(lay_out(tmp_path, ["Pituitary", "NO_TUMOR", "glioma"]))
    images = labelled(folders, NAMES)
    assert [path.parent.name for path in images.paths[::3]] == ["glioma", "NO_TUMOR", "Pituitary"]
    assert images.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert images.chance == pytest.approx(1 / 3)


def test_a_class_without_a_folder(tmp_path):
    assert labelled(class_folders(lay_out(tmp_path, ["glioma", "pituitary"])), NAMES) is None


def test_few_of_many_are_spread_evenly(tmp_path):
    lay_out(tmp_path, NAMES[:2], 10)
    lay_out(tmp_path, NAMES[2:], 1)
    images = labelled(class_folders(tmp_path), NAMES, limit=12)
    assert np.bincount(images.labels).tolist() == [4, 4, 1]
    assert [path.stem for path in images.paths[:4]] == ["000", "002", "005", "007"]
    assert images.chance == pytest.approx(4 / 9)
