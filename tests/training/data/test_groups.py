"""Which images belong together, and when the groups of an audit are refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data.data_set import DataSet, find
from training.data.errors import DataError
from training.data.groups import Groups, by_patient, load


def test_without_an_audit_patients_belong_together_and_nothing_is_a_copy(patients: DataSet) -> None:
    groups = by_patient(patients)
    files = [*patients.training, *patients.testing]
    assert not groups.audited
    assert len(set(groups.copies.values())) == len(files)
    for first in files[:10]:
        together = {file for file in files if groups.groups[file] == groups.groups[first]}
        assert together == {file for file in files if patients.patients[file] == patients.patients[first]}
        assert len(together) == 2


def test_without_a_manifest_every_image_stands_alone(folder: Path) -> None:
    data = find(folder)
    assert sorted(by_patient(data).groups.values()) == list(range(12))


def test_an_audits_groups_come_back_as_they_were_saved(folder: Path, tmp_path: Path) -> None:
    data = find(folder)
    files = [*data.training, *data.testing]
    saved = Groups(dict.fromkeys(files, 3), {file: i // 2 for i, file in enumerate(files)}, audited=True)
    saved.save(tmp_path / "groups.json", data.fingerprint())
    assert load(tmp_path / "groups.json", data) == saved
    assert saved.of(files[::-1]).tolist() == [3] * 12
    assert saved.of([]).dtype == np.int64


def change_an_image(folder: Path, groups: Path) -> None:
    Image.new("L", (20, 20), 9).save(folder / "Testing" / "dark" / "0.png")


def rename_an_image(folder: Path, groups: Path) -> None:
    (folder / "Testing" / "dark" / "0.png").rename(folder / "Testing" / "dark" / "9.png")


def remove_the_groups(folder: Path, groups: Path) -> None:
    groups.unlink()


def write_something_else(folder: Path, groups: Path) -> None:
    groups.write_text("[1, 2]")


def leave_the_copies_out(folder: Path, groups: Path) -> None:
    document = json.loads(groups.read_text())
    del document["copies"]
    groups.write_text(json.dumps(document))


def forget_an_image(folder: Path, groups: Path) -> None:
    document = json.loads(groups.read_text())
    document["copies"].popitem()
    groups.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change_an_image, "belongs to other images than .*scans: run python -m training.audit again"),
        (rename_an_image, "belongs to other images"),
        (forget_an_image, "belongs to other images"),
        (remove_the_groups, "cannot read .*groups.json: .*; make it with python -m training.audit"),
        (write_something_else, "is not what python -m training.audit writes"),
        (leave_the_copies_out, "is not what python -m training.audit writes"),
    ],
)
def test_groups_that_do_not_belong_are_refused(spoil, message: str, folder: Path, tmp_path: Path) -> None:
    data = find(folder)
    by_patient(data).save(tmp_path / "groups.json", data.fingerprint())
    spoil(folder, tmp_path / "groups.json")
    with pytest.raises(DataError, match=message):
        load(tmp_path / "groups.json", find(folder))


def test_an_audit_that_separates_a_patient_is_refused(patients: DataSet, tmp_path: Path) -> None:
    alone = by_patient(patients)
    file = patients.training[0]
    Groups(alone.groups | {file: -1}, alone.copies, audited=True).save(tmp_path / "groups.json", patients.fingerprint())
    with pytest.raises(DataError, match=r"separates the images of patient .*: run python -m training.audit again"):
        load(tmp_path / "groups.json", patients)
