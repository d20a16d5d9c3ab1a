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
