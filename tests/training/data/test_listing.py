"""Which images of a folder are listed, and the message for a folder that cannot be used."""

import json
import shutil
from pathlib import Path

import pytest

from training.data.data_set import find
from training.data.errors import DataError


def test_what_is_hidden_or_no_image_is_left_out(folder: Path) -> None:
    before = find(folder)
    (folder / "Training" / "dark" / "notes.txt").write_text("no image")
    (folder / "Training" / "dark" / "._0.png").write_text("what some systems leave behind")
    (folder / "Training" / "dark" / "folder.png").mkdir()
    (folder / "Training" / ".ipynb_checkpoints").mkdir()
    (folder / "Masks").mkdir()
    assert find(folder) == before
    (folder / "Training" / "dark" / "loud.PNG").touch()
    assert len(find(folder).training) == len(before.training) + 1


def test_a_folder_of_kagglehubs_cache_is_named_without_a_manifest(folder: Path, tmp_path: Path) -> None:
    version = tmp_path / "datasets" / "someone" / "some-scans" / "versions" / "1"
    version.parent.mkdir(parents=True)
    folder.rename(version)
    assert find(version).name == "Kaggle some-scans, version 1"


def rename_the_splits(folder: Path, training: str, testing: str) -> None:
    (folder / "Training").rename(folder / training)
    (folder / "Testing").rename(folder / testing)


@pytest.mark.parametrize(
    ("training", "testing"), [("Train", "Test"), ("train", "test"), ("TRAINING", "TESTING"), ("training", "Test")]
)
def test_splits_have_their_usual_names(training: str, testing: str, folder: Path) -> None:
    before = find(folder)
    rename_the_splits(folder, training, testing)
    data = find(folder)
    assert [file.split("/", 1)[1] for file in data.training] == [file.split("/", 1)[1] for file in before.training]
    assert [file.split("/", 1)[0] for file in data.testing] == [testing] * 4
    assert data.labels(data.testing).tolist() == [0, 0, 1, 1]
    assert {data.split_of(file) for file in data.testing} == {"Testing"}
    assert (data.class_names, data.drawn) == (before.class_names, False)


@pytest.mark.parametrize("name", ["valid", "val", "Validation"])
def test_a_validation_folder_belongs_to_training(name: str, folder: Path) -> None:
    rename_the_splits(folder, "train", "test")
    for class_name in ("bright", "dark"):
        (folder / name / class_name).mkdir(parents=True)
        (folder / "train" / class_name / "3.png").rename(folder / name / class_name / "3.png")
    data = find(folder)
    assert f"{name}/dark/3.png" in data.training
    assert (len(data.training), len(data.testing)) == (8, 4)


def test_an_archives_outer_folder_is_looked_into(folder: Path) -> None:
    put_it_one_level_down(folder)
    data = find(folder)
    assert data.folder == folder / "archive"
    assert data.testing[0] == "Testing/bright/0.png"


def split_less(folder: Path) -> None:
    """One folder for each class, and nothing else."""
    shutil.rmtree(folder / "Testing")
    for path in (folder / "Training").iterdir():
        path.rename(folder / path.name)
    (folder / "Training").rmdir()


@pytest.mark.parametrize("one_level_down", [False, True])
def test_folders_of_classes_alone_have_their_test_images_drawn(folder: Path, one_level_down: bool) -> None:
    split_less(folder)
    (folder / "__MACOSX").mkdir()
    if one_level_down:
        put_it_one_level_down(folder)
    data = find(folder)
    assert data.drawn
    assert data.class_names == ("bright", "dark")
    assert sorted([*data.training, *data.testing]) == [
        f"{name}/{index}.png" for name in data.class_names for index in range(4)
    ]
    assert data.labels(data.testing).tolist() == [0, 1]
    assert find(folder) == data


def test_a_training_folder_alone_has_its_test_images_drawn(folder: Path) -> None:
    shutil.rmtree(folder / "Testing")
    (folder / "Masks" / "Training").mkdir(parents=True)
    data = find(folder)
    assert data.drawn
    assert (len(data.training), data.labels(data.testing).tolist()) == (6, [0, 1])


def misspell_the_test_folder(folder: Path) -> None:
    (folder / "Testing").rename(folder / "Tests")


def keep_two_for_training(folder: Path) -> None:
    shutil.copytree(folder / "Training", folder / "train")


def remove_training(folder: Path) -> None:
    shutil.rmtree(folder / "Training")


def put_two_one_level_down(folder: Path) -> None:
    put_it_one_level_down(folder)
    shutil.copytree(folder / "archive", folder / "more")


def keep_the_data_set_twice(folder: Path) -> None:
    """As a well-known archive does: yes, no, and a folder with yes and no."""
    split_less(folder)
    for name in ("bright", "dark"):
        shutil.copytree(folder / name, folder / "again" / name)


def hold_images_alone(folder: Path) -> None:
    for path in list((folder / "Training" / "dark").iterdir()):
        path.rename(folder / path.name)
    for split in ("Training", "Testing"):
        shutil.rmtree(folder / split)


def hold_matlab_files(folder: Path) -> None:
    shutil.rmtree(folder)
    (folder / "unpacked").mkdir(parents=True)
    (folder / "unpacked" / "1.mat").touch()


def hold_a_zip_of_matlab_files(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "brainTumorDataPublic_1-766.zip").touch()


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
        (misspell_the_test_folder, "scans/Tests has the class folders of .*scans/Training: call it Testing or"),
        (keep_two_for_training, "scans/Training and .*scans/train may both be Training: keep one"),
        (remove_training, "scans has no folder Training: it must hold Training/CLASS/IMAGE"),
        (put_two_one_level_down, "scans is above several data sets: name .*scans/archive or .*scans/more$"),
        (keep_the_data_set_twice, "scans/again has no image .*; if .*scans/again is a data set, name it or move it"),
        (hold_images_alone, "scans holds images, and no folder for each class"),
        (hold_a_zip_of_matlab_files, "scans holds MATLAB files: python -m training.data .*scans makes images of them"),
        (hold_matlab_files, "scans holds MATLAB files: python -m training.data .*scans makes images of them"),
        (remove_a_class, "Testing has no class folder dark, which Training has"),
        (misspell_a_class, "Training has darks where .*Testing has dark: rename one"),
        (empty_a_class, r"Training/bright has no image \(\.avif, \.bmp"),
        (leave_one_class, "two or more class folders, not 1"),
        (leave_no_class, "two or more class folders, not 0"),
        (break_the_manifest, "not a manifest"),
        (add_a_stray, r"does not fit the images beside it: Testing/bright/0\.png .* --check lists them all"),
    ],
)
def test_a_folder_that_cannot_be_used_is_explained(spoil, message: str, folder: Path) -> None:
    spoil(folder)
    with pytest.raises(DataError, match=message):
        find(folder)


def test_a_split_is_not_taken_for_the_data_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = f"is inside the data set: name the folder above it, {folder.resolve()}$"
    with pytest.raises(DataError, match=message):
        find(folder / "Testing")
    monkeypatch.chdir(folder / "Training")
    with pytest.raises(DataError, match=message):
        find(Path())


def test_a_data_set_may_be_called_like_a_split_of_its_own(folder: Path) -> None:
    data_set = folder.rename(folder.with_name("training"))
    (data_set.parent / "test").mkdir()
    assert find(data_set).name == "training"
