"""What is found in a folder, what is said of one that cannot be used, and who belongs together in it."""

import json
import resource
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brain_tumor.image import Preprocessor
from tests.training.scans import phantom
from training import data
from training.data.groups import Groups, by_patient, load
from training.data.split import hold_out


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of grey squares, four images each in Training, two in Testing."""
    made = tmp_path / "scans"
    for split, count in (("Training", 4), ("Testing", 2)):
        for level, name in ((60, "dark"), (180, "bright")):
            (made / split / name).mkdir(parents=True)
            for index in range(count):
                Image.new("L", (20, 20), level + index).save(made / split / name / f"{index}.png")
    return made


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> data.DataSet:
    """A phantom: 12 training patients a class, two images each."""
    return data.find(phantom(tmp_path_factory.mktemp("data") / "some", training=48, size=32))


def test_what_is_found_is_sorted_and_complete(folder: Path) -> None:
    found = data.find(folder)
    assert found.class_names == ("bright", "dark")
    assert found.testing == ("Testing/bright/0.png", "Testing/bright/1.png", "Testing/dark/0.png", "Testing/dark/1.png")
    assert len(found.training) == 8
    assert found.labels(found.testing).tolist() == [0, 0, 1, 1]
    assert found.name == "scans"
    assert found.patients == {}


def test_what_is_hidden_or_no_image_is_left_out(folder: Path) -> None:
    before = data.find(folder)
    (folder / "Training" / "dark" / "notes.txt").write_text("no image")
    (folder / "Training" / "dark" / "._0.png").write_text("what some systems leave behind")
    (folder / "Training" / "dark" / "folder.png").mkdir()
    (folder / "Training" / ".ipynb_checkpoints").mkdir()
    (folder / "Masks").mkdir()
    assert data.find(folder) == before
    (folder / "Training" / "dark" / "loud.PNG").touch()
    assert len(data.find(folder).training) == len(before.training) + 1


def test_the_phantoms_manifest_names_data_and_patients(patients: data.DataSet) -> None:
    assert patients.name == "phantom"
    assert patients.class_names == ("glioma", "meningioma", "notumor", "pituitary")
    assert set(patients.patients) == {*patients.training, *patients.testing}


def test_a_folder_of_kagglehubs_cache_is_named_without_a_manifest(folder: Path, tmp_path: Path) -> None:
    version = tmp_path / "datasets" / "someone" / "some-scans" / "versions" / "1"
    version.parent.mkdir(parents=True)
    folder.rename(version)
    assert data.find(version).name == "Kaggle some-scans, version 1"


def remove_testing(folder: Path) -> None:
    shutil.rmtree(folder / "Testing")


def write_small(folder: Path) -> None:
    (folder / "Testing").rename(folder / "testing")


def remove_a_class(folder: Path) -> None:
    shutil.rmtree(folder / "Testing" / "dark")


def misspell_a_class(folder: Path) -> None:
    (folder / "Training" / "dark").rename(folder / "Training" / "darks")


def empty_a_class(folder: Path) -> None:
    for path in (folder / "Training" / "bright").iterdir():
        path.rename(path.with_suffix(".txt"))


def leave_one_class(folder: Path) -> None:
    for split in ("Training", "Testing"):
        shutil.rmtree(folder / split / "dark")


def leave_no_class(folder: Path) -> None:
    leave_one_class(folder)
    for split in ("Training", "Testing"):
        (folder / split / "bright").rename(folder / split / ".bright")


def put_it_one_level_down(folder: Path) -> None:
    folder.rename(folder.with_name("aside"))
    folder.mkdir()
    folder.with_name("aside").rename(folder / "archive")


def make_it_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a ZIP, perhaps")


def break_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"data": "phantom"')


def add_a_stray(folder: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps({"data": "phantom", "images": []}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, "there is no folder .*scans: it is not there"),
        (make_it_a_file, "there is no folder .*scans: it is a file; unpack it"),
        (remove_testing, "scans has no folder Testing: it must hold Training/CLASS/IMAGE"),
        (write_small, "scans/testing must be called Testing: rename it"),
        (put_it_one_level_down, "scans is above the data set: name .*scans/archive$"),
        (remove_a_class, "Testing has no class folder dark, which Training has"),
        (misspell_a_class, "Training has darks where .*Testing has dark: rename one"),
        (empty_a_class, r"Training/bright has no image \(\.bmp"),
        (leave_one_class, "two or more class folders, not 1"),
        (leave_no_class, "two or more class folders, not 0"),
        (break_the_manifest, "not a manifest"),
        (add_a_stray, r"does not fit the images beside it: Testing/bright/0\.png .* --check names them all"),
    ],
)
def test_a_folder_that_cannot_be_used_is_explained(spoil, message: str, folder: Path) -> None:
    spoil(folder)
    with pytest.raises(data.DataError, match=message):
        data.find(folder)


def test_a_split_is_not_taken_for_the_data_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = f"is inside the data set: name the folder above it, {folder.resolve()}$"
    with pytest.raises(data.DataError, match=message):
        data.find(folder / "Testing")
    monkeypatch.chdir(folder / "Training")
    with pytest.raises(data.DataError, match=message):
        data.find(Path())


def test_a_manifest_may_name_some_patients_or_none(folder: Path) -> None:
    found = data.find(folder)
    files = [*found.training, *found.testing]
    images = [{"file": file} for file in files]
    (folder / "manifest.json").write_text(json.dumps({"data": "mine", "images": images}))
    assert data.find(folder).patients == {}
    same = [{"file": file, "patient": "7"} for file in files[:2]]
    (folder / "manifest.json").write_text(json.dumps({"data": "mine", "images": [*same, *images[2:]]}))
    named = data.find(folder)
    assert (named.name, named.patients) == ("mine", dict.fromkeys(files[:2], "7"))
    numbers = by_patient(named).of(files).tolist()
    assert numbers[0] == numbers[1]
    assert len(set(numbers)) == len(files) - 1


def test_reading_is_the_gateways_preprocessing(folder: Path) -> None:
    found, preprocessor = data.find(folder), Preprocessor(16, 16)
    pixels = data.read(folder, list(found.testing), preprocessor)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (4, 16, 16, 3)
    for file, one in zip(found.testing, pixels, strict=True):
        np.testing.assert_array_equal(one, preprocessor.from_bytes((folder / file).read_bytes())[0])


def test_an_unreadable_image_is_named(folder: Path) -> None:
    (folder / "Training" / "dark" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(data.DataError, match=r"cannot read .*dark/2\.png"):
        data.read(folder, list(data.find(folder).training), Preprocessor(16, 16))


def test_the_fingerprint_tells_content_and_name_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    first = data.find(folder).fingerprint()
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy)
    assert data.find(copy).fingerprint() == first
    (copy / "Testing" / "dark" / "0.png").rename(copy / "Testing" / "dark" / "9.png")
    renamed = data.find(copy).fingerprint()
    (folder / "Testing" / "dark" / "0.png").write_bytes((folder / "Testing" / "dark" / "1.png").read_bytes())
    assert len({first, renamed, data.find(folder).fingerprint()}) == 3


def test_without_an_audit_patients_belong_together_and_nothing_is_a_copy(patients: data.DataSet) -> None:
    groups = by_patient(patients)
    files = [*patients.training, *patients.testing]
    assert not groups.audited
    assert len(set(groups.copies.values())) == len(files)
    for one in files[:10]:
        together = {file for file in files if groups.groups[file] == groups.groups[one]}
        assert together == {file for file in files if patients.patients[file] == patients.patients[one]}
        assert len(together) == 2


def test_without_a_manifest_every_image_stands_alone(folder: Path) -> None:
    found = data.find(folder)
    assert sorted(by_patient(found).groups.values()) == list(range(12))


def test_an_audits_groups_come_back_as_they_were_saved(folder: Path, tmp_path: Path) -> None:
    found = data.find(folder)
    files = [*found.training, *found.testing]
    saved = Groups(dict.fromkeys(files, 3), {file: i // 2 for i, file in enumerate(files)}, audited=True)
    saved.save(tmp_path / "groups.json", found.fingerprint())
    assert load(tmp_path / "groups.json", found) == saved
    assert saved.of(files[::-1]).tolist() == [3] * 12
    assert saved.of([]).dtype == np.int64


def change_a_image(folder: Path, groups: Path) -> None:
    Image.new("L", (20, 20), 9).save(folder / "Testing" / "dark" / "0.png")


def rename_a_image(folder: Path, groups: Path) -> None:
    (folder / "Testing" / "dark" / "0.png").rename(folder / "Testing" / "dark" / "9.png")


def remove_the_groups(folder: Path, groups: Path) -> None:
    groups.unlink()


def write_something_else(folder: Path, groups: Path) -> None:
    groups.write_text("[1, 2]")


def leave_the_copies_out(folder: Path, groups: Path) -> None:
    document = json.loads(groups.read_text())
    del document["copies"]
    groups.write_text(json.dumps(document))


def forget_a_image(folder: Path, groups: Path) -> None:
    document = json.loads(groups.read_text())
    document["copies"].popitem()
    groups.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change_a_image, "belongs to other images than .*scans: run python -m training.audit again"),
        (rename_a_image, "belongs to other images"),
        (forget_a_image, "belongs to other images"),
        (remove_the_groups, "cannot read .*groups.json: .*; make it with python -m training.audit"),
        (write_something_else, "is not what python -m training.audit writes"),
        (leave_the_copies_out, "is not what python -m training.audit writes"),
    ],
)
def test_groups_that_do_not_belong_are_refused(spoil, message: str, folder: Path, tmp_path: Path) -> None:
    found = data.find(folder)
    by_patient(found).save(tmp_path / "groups.json", found.fingerprint())
    spoil(folder, tmp_path / "groups.json")
    with pytest.raises(data.DataError, match=message):
        load(tmp_path / "groups.json", data.find(folder))


def test_validation_keeps_patients_whole_and_classes_in_proportion(patients: data.DataSet) -> None:
    groups = by_patient(patients)
    fitted, held = hold_out(patients, groups, 0.25, seed=3)
    assert sorted([*fitted, *held]) == list(patients.training)
    assert not {patients.patients[file] for file in fitted} & {patients.patients[file] for file in held}
    assert np.bincount(patients.labels(held)).tolist() == [6, 6, 6, 6]  # 3 of 12 patients a class, two images each
    assert hold_out(patients, groups, 0.25, seed=3) == (fitted, held)
    assert hold_out(patients, groups, 0.25, seed=4) != (fitted, held)


def test_a_group_is_whole_even_across_patients_and_classes(patients: data.DataSet) -> None:
    """As an audit makes them: copies of one another in several classes."""
    alone = by_patient(patients)
    merged = {file: number % 24 for file, number in alone.groups.items()}  # two patients, of two classes
    for seed in range(5):
        fitted, held = hold_out(patients, Groups(merged, alone.copies, audited=True), 0.25, seed)
        assert not {merged[file] for file in fitted} & {merged[file] for file in held}
        assert set(patients.labels(fitted)) == set(patients.labels(held)) == {0, 1, 2, 3}


def test_images_that_stand_alone_are_split_by_class(folder: Path) -> None:
    found = data.find(folder)
    fitted, held = hold_out(found, by_patient(found), 0.25, seed=0)
    assert Counter(Path(file).parent.name for file in fitted) == {"bright": 3, "dark": 3}
    assert Counter(Path(file).parent.name for file in held) == {"bright": 1, "dark": 1}


@pytest.mark.parametrize("images", [2, 3])
def test_a_class_of_few_images_is_on_both_sides(images: int, folder: Path) -> None:
    for index in range(images, 4):
        (folder / "Training" / "dark" / f"{index}.png").unlink()
    found = data.find(folder)
    for seed in range(10):
        fitted, held = hold_out(found, by_patient(found), 0.1, seed)
        for side in (fitted, held):
            assert {Path(file).parent.name for file in side} == {"bright", "dark"}


def test_a_class_of_one_group_cannot_spare_one(folder: Path) -> None:
    found = data.find(folder)
    alone = by_patient(found)
    groups = {file: -1 if "/dark/" in file else number for file, number in alone.groups.items()}
    with pytest.raises(data.DataError, match=r"Training/dark needs images of two or more patients"):
        hold_out(found, Groups(groups, alone.copies, audited=True), 0.25, seed=0)


def test_a_large_cluster_stays_with_the_images_to_fit(patients: data.DataSet) -> None:
    """Where the split would else hold out that cluster alone, whatever the seed."""
    alone = by_patient(patients)
    glioma = [file for file in patients.training if "/glioma/" in file]
    groups = alone.groups | dict.fromkeys(glioma[: 2 * len(glioma) // 3], -1)
    for seed in range(5):
        fitted, held = hold_out(patients, Groups(groups, alone.copies, audited=True), 0.25, seed)
        assert glioma[0] in fitted
        assert abs(len(held) - 0.25 * len(patients.training)) < 0.1 * len(patients.training)


def test_an_audit_that_parts_a_patient_is_refused(patients: data.DataSet, tmp_path: Path) -> None:
    alone = by_patient(patients)
    file = patients.training[0]
    Groups(alone.groups | {file: -1}, alone.copies, audited=True).save(tmp_path / "groups.json", patients.fingerprint())
    with pytest.raises(data.DataError, match=r"parts the images of patient .*: run python -m training.audit again"):
        load(tmp_path / "groups.json", patients)


def test_images_without_room_are_refused_before_they_are_read(folder: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(data.DataError, match=r"no room for 1 MB of decoded images in .* let TMPDIR name another"):
            data.read(folder, ["Training/dark/0.png"], Preprocessor(600, 600))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
