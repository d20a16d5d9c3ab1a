"""The split into images to fit and images to validate on keeps groups whole and has every class on both sides."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from training.data.data_set import DataSet, find
from training.data.errors import DataError
from training.data.groups import Groups, by_patient
from training.data.split import hold_out


def test_validation_keeps_patients_whole_and_classes_in_proportion(patients: DataSet) -> None:
    groups = by_patient(patients)
    fitted, held = hold_out(patients, groups, 0.25, seed=3)
    assert sorted([*fitted, *held]) == list(patients.training)
    assert not {patients.patients[file] for file in fitted} & {patients.patients[file] for file in held}
    assert np.bincount(patients.labels(held)).tolist() == [6, 6, 6, 6]  # 3 of 12 patients a class, two images each
    assert hold_out(patients, groups, 0.25, seed=3) == (fitted, held)
    assert hold_out(patients, groups, 0.25, seed=4) != (fitted, held)


def test_a_group_is_whole_even_across_patients_and_classes(patients: DataSet) -> None:
    """As an audit makes them: copies of one another in several classes."""
    alone = by_patient(patients)
    merged = {file: number % 24 for file, number in alone.groups.items()}  # two patients, of two classes
    for seed in range(5):
        fitted, held = hold_out(patients, Groups(merged, alone.copies, audited=True), 0.25, seed)
        assert not {merged[file] for file in fitted} & {merged[file] for file in held}
        assert set(patients.labels(fitted)) == set(patients.labels(held)) == {0, 1, 2, 3}


def test_images_that_stand_alone_are_split_by_class(folder: Path) -> None:
    data = find(folder)
    fitted, held = hold_out(data, by_patient(data), 0.25, seed=0)
    assert Counter(Path(file).parent.name for file in fitted) == {"bright": 3, "dark": 3}
    assert Counter(Path(file).parent.name for file in held) == {"bright": 1, "dark": 1}


@pytest.mark.parametrize("images", [2, 3])
def test_a_class_of_few_images_is_on_both_sides(images: int, folder: Path) -> None:
    for index in range(images, 4):
        (folder / "Training" / "dark" / f"{index}.png").unlink()
    data = find(folder)
    for seed in range(10):
        fitted, held = hold_out(data, by_patient(data), 0.1, seed)
        for side in (fitted, held):
            assert {Path(file).parent.name for file in side} == {"bright", "dark"}


def test_a_class_of_one_group_cannot_spare_one(folder: Path) -> None:
    data = find(folder)
    alone = by_patient(data)
    groups = {file: -1 if "/dark/" in file else number for file, number in alone.groups.items()}
    with pytest.raises(DataError, match=r"class dark needs training images of two or more patients"):
        hold_out(data, Groups(groups, alone.copies, audited=True), 0.25, seed=0)


def test_a_large_cluster_stays_with_the_images_to_fit(patients: DataSet) -> None:
    """Where the split would else hold out that cluster alone, whatever the seed."""
    alone = by_patient(patients)
    glioma = [file for file in patients.training if "/glioma/" in file]
    groups = alone.groups | dict.fromkeys(glioma[: 2 * len(glioma) // 3], -1)
    for seed in range(5):
        fitted, held = hold_out(patients, Groups(groups, alone.copies, audited=True), 0.25, seed)
        assert glioma[0] in fitted
        assert abs(len(held) - 0.25 * len(patients.training)) < 0.1 * len(patients.training)
