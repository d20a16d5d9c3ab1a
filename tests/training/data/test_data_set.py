"""A data set's classes, names, patients and fingerprint."""

import json
import shutil
from pathlib import Path

from training.data.data_set import DataSet, find
from training.data.groups import by_patient


def test_what_is_listed_is_sorted_and_complete(folder: Path) -> None:
    data = find(folder)
    assert data.class_names == ("bright", "dark")
    assert data.testing == ("Testing/bright/0.png", "Testing/bright/1.png", "Testing/dark/0.png", "Testing/dark/1.png")
    assert len(data.training) == 8
    assert data.labels(data.testing).tolist() == [0, 0, 1, 1]
    assert data.name == "scans"
    assert data.patients == {}


def test_the_phantoms_manifest_names_data_and_patients(patients: DataSet) -> None:
    assert patients.name == "phantom"
    assert patients.class_names == ("glioma", "meningioma", "notumor", "pituitary")
    assert set(patients.patients) == {*patients.training, *patients.testing}


def test_a_manifest_may_name_some_patients_or_none(folder: Path) -> None:
    data = find(folder)
    files = [*data.training, *data.testing]
    images = [{"file": file} for file in files]
    (folder / "manifest.json").write_text(json.dumps({"data": "mine", "images": images}))
    assert find(folder).patients == {}
    same = [{"file": file, "patient": "7"} for file in files[:2]]
    (folder / "manifest.json").write_text(json.dumps({"data": "mine", "images": [*same, *images[2:]]}))
    named = find(folder)
    assert (named.name, named.patients) == ("mine", dict.fromkeys(files[:2], "7"))
    numbers = by_patient(named).of(files).tolist()
    assert numbers[0] == numbers[1]
    assert len(set(numbers)) == len(files) - 1


def test_the_fingerprint_tells_content_and_name_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    first = find(folder).fingerprint()
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy)
    assert find(copy).fingerprint() == first
    (copy / "Testing" / "dark" / "0.png").rename(copy / "Testing" / "dark" / "9.png")
    renamed = find(copy).fingerprint()
    (folder / "Testing" / "dark" / "0.png").write_bytes((folder / "Testing" / "dark" / "1.png").read_bytes())
    assert len({first, renamed, find(folder).fingerprint()}) == 3
