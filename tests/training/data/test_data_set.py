"""A data set's classes, names, patients and fingerprint."""

import json
import shutil
from pathlib import Path

import pytest

from training.data.data_set import DataSet, find
from training.data.errors import DataError
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


def flat(folder: Path) -> Path:
    """The images of ``folder`` in one folder for each class, twelve in all."""
    for file in (*find(folder).training, *find(folder).testing):
        split, name, image = file.split("/")
        (folder.with_name("flat") / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / file, folder.with_name("flat") / name / f"{split}{image}")
    return folder.with_name("flat")


def test_the_manifest_says_class_and_split_whatever_the_folders_say(folder: Path) -> None:
    data_folder = flat(folder)
    drawn = find(data_folder)
    images = [
        {"file": file, "class": f"not {drawn.classes[file]}", "split": "Testing" if "Testing" in file else "Training"}
        for file in drawn.classes
    ]
    document = {"data": "mine", "healthy": "not dark", "images": images}
    (data_folder / "manifest.json").write_text(json.dumps(document))
    data = find(data_folder)
    assert data.class_names == ("not bright", "not dark")
    assert data.testing == ("bright/Testing0.png", "bright/Testing1.png", "dark/Testing0.png", "dark/Testing1.png")
    assert data.labels(data.testing).tolist() == [0, 0, 1, 1]
    assert data.split_of("dark/Testing0.png") == "Testing"
    assert (data.drawn, data.healthy) == (False, "not dark")
    assert find(data_folder, "not bright").healthy == "not bright"
    prints = {data.fingerprint(), drawn.fingerprint()}
    images[0]["split"], images[5]["split"] = images[5]["split"], images[0]["split"]
    (data_folder / "manifest.json").write_text(json.dumps(document))
    assert find(data_folder).fingerprint() not in prints


def test_a_drawn_split_keeps_the_patients_of_a_manifest_whole(folder: Path) -> None:
    data_folder = flat(folder)
    files = [*find(data_folder).training, *find(data_folder).testing]
    images = [{"file": file, "patient": f"{file[0]}{ord(file[-5]) % 3}"} for file in files]
    (data_folder / "manifest.json").write_text(json.dumps({"data": "mine", "images": images}))
    data = find(data_folder)
    assert data.drawn
    assert not {data.patients[file] for file in data.training} & {data.patients[file] for file in data.testing}


def test_an_older_fingerprint_of_the_usual_layout_is_still_right(folder: Path) -> None:
    """Runs that were made before keep it: each line was the content's hash and the path."""
    for split in ("Training", "Testing"):
        for name in ("bright", "dark"):
            for path in (folder / split / name).iterdir():
                path.write_bytes(f"{split} {name} {path.stem}".encode())
    expected = "0d02563116d38298d32dac0cfe2fee2f9c551a9ec420eb53cf64a352ddfb0ce6"
    assert find(folder).fingerprint() == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "Test"}, r"manifest\.json: the split of .* must be Training or Testing"),
        ({"class": 3}, r"manifest\.json: the split of .* and its class a name"),
        ({"class": ""}, r"manifest\.json: the split of .* and its class a name"),
        ({"class": "half \ud800"}, r"the name 'half \\ud800' is not UTF-8: rename it"),
        ({"patient": True}, r"manifest\.json names a patient by something other than a text or a number"),
        ({"split": "Training"}, "says of some images in which split they are, and of others not"),
    ],
)
def test_a_manifest_that_says_no_split_or_half_of_it_is_refused(changes: dict, message: str, folder: Path) -> None:
    data_folder = flat(folder)
    images = [{"file": file} for file in find(data_folder).classes]
    (data_folder / "manifest.json").write_text(
        json.dumps({"data": "mine", "images": [images[0] | changes, *images[1:]]})
    )
    with pytest.raises(DataError, match=message):
        find(data_folder)


def test_a_manifest_that_leaves_a_class_out_of_a_split_is_refused(folder: Path) -> None:
    files = find(folder).classes
    images = [{"file": file, "split": "Training" if "/dark/" in file else "Testing"} for file in files]
    (folder / "manifest.json").write_text(json.dumps({"data": "mine", "images": images}))
    with pytest.raises(DataError, match="leaves class bright without an image in Training"):
        find(folder)


def test_a_manifest_that_leaves_one_class_is_refused(folder: Path) -> None:
    images = [{"file": file, "class": "scan"} for file in find(folder).classes]
    (folder / "manifest.json").write_text(json.dumps({"data": "mine", "images": images}))
    with pytest.raises(DataError, match=r"manifest\.json puts all images into class scan: name two or more"):
        find(folder)


def test_a_manifest_may_not_name_a_class_that_is_not_there_as_healthy(folder: Path) -> None:
    images = [{"file": file} for file in find(folder).classes]
    (folder / "manifest.json").write_text(json.dumps({"data": "mine", "healthy": "normal", "images": images}))
    with pytest.raises(DataError, match="there is no class normal"):
        find(folder)
    (folder / "manifest.json").write_text(json.dumps({"data": "mine", "healthy": ["dark"], "images": images}))
    with pytest.raises(DataError, match="by something other than a text"):
        find(folder)
