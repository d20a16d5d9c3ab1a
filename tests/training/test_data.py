import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brain_tumor.picture import Preprocessor
from tests.training.scans import phantom
from training import data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of grey squares, four pictures each in Training, two in Testing."""
    for split, count in (("Training", 4), ("Testing", 2)):
        for level, name in ((60, "dark"), (180, "bright")):
            (tmp_path / split / name).mkdir(parents=True)
            for index in range(count):
                Image.new("L", (20, 20), level + index).save(tmp_path / split / name / f"{index}.png")
    return tmp_path


def test_what_is_found_is_sorted_and_complete(folder: Path) -> None:
    (folder / "Training" / "dark" / "notes.txt").write_text("no picture")
    found = data.find(folder)
    assert found.class_names == ("bright", "dark")
    assert found.testing == ("Testing/bright/0.png", "Testing/bright/1.png", "Testing/dark/0.png", "Testing/dark/1.png")
    assert len(found.training) == 8
    assert found.labels(found.testing).tolist() == [0, 0, 1, 1]
    assert found.name == folder.name


def test_the_phantoms_manifest_names_data_and_patients(tmp_path: Path) -> None:
    found = data.find(phantom(tmp_path / "some", size=32))
    assert found.name == "phantom"
    assert found.class_names == ("glioma", "meningioma", "notumor", "pituitary")
    assert set(found.patients) == {*found.training, *found.testing}


def remove_testing(folder: Path) -> None:
    shutil.rmtree(folder / "Testing")


def remove_a_class(folder: Path) -> None:
    shutil.rmtree(folder / "Testing" / "dark")


def empty_a_class(folder: Path) -> None:
    for path in (folder / "Training" / "bright").iterdir():
        path.unlink()


def leave_one_class(folder: Path) -> None:
    for split in ("Training", "Testing"):
        shutil.rmtree(folder / split / "dark")


def break_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"data": "phantom"')


def add_a_stray(folder: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps({"data": "phantom", "pictures": []}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, "there is no folder"),
        (remove_testing, "has no folder Testing"),
        (remove_a_class, "Testing has no class folder dark"),
        (empty_a_class, "bright has no picture"),
        (leave_one_class, "two or more class folders"),
        (break_the_manifest, "not a manifest"),
        (add_a_stray, "does not fit the pictures"),
    ],
)
def test_a_folder_that_cannot_be_used_is_explained(spoil, message: str, folder: Path) -> None:
    spoil(folder)
    with pytest.raises(data.DataError, match=message):
        data.find(folder)


def test_validation_keeps_patients_together_and_classes_in_proportion(tmp_path: Path) -> None:
    found = data.find(phantom(tmp_path / "some", training=48, size=32))
    fitted, held = data.hold_out(found, 0.25, seed=3)
    assert sorted([*fitted, *held]) == list(found.training)
    assert not {found.patients[file] for file in fitted} & {found.patients[file] for file in held}
    assert np.bincount(found.labels(held)).tolist() == [6, 6, 6, 6]  # 3 of 12 patients a class, two pictures each
    assert data.hold_out(found, 0.25, seed=3) == (fitted, held)
    assert data.hold_out(found, 0.25, seed=4) != (fitted, held)


def test_without_a_manifest_every_picture_stands_alone(folder: Path) -> None:
    fitted, held = data.hold_out(data.find(folder), 0.25, seed=0)
    assert len(fitted) == 6
    assert sorted(Path(file).parent.name for file in held) == ["bright", "dark"]


def test_a_class_of_one_picture_cannot_spare_one(folder: Path) -> None:
    for index in range(1, 4):
        (folder / "Training" / "dark" / f"{index}.png").unlink()
    with pytest.raises(data.DataError, match=r"dark needs two or more patients"):
        data.hold_out(data.find(folder), 0.25, seed=0)


def test_reading_is_the_gateways_preprocessing(folder: Path) -> None:
    found, preprocessor = data.find(folder), Preprocessor(16, 16)
    pixels = data.read(folder, list(found.testing), preprocessor)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (4, 16, 16, 3)
    for file, one in zip(found.testing, pixels, strict=True):
        np.testing.assert_array_equal(one, preprocessor.from_bytes((folder / file).read_bytes())[0])


def test_an_unreadable_picture_is_named(folder: Path) -> None:
    (folder / "Training" / "dark" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(data.DataError, match=r"cannot read .*dark/2\.png"):
        data.read(folder, list(data.find(folder).training), Preprocessor(16, 16))


def test_the_fingerprint_tells_content_and_name_and_nothing_else(folder: Path, tmp_path_factory) -> None:
    first = data.find(folder).fingerprint()
    copy = tmp_path_factory.mktemp("copy") / "elsewhere"
    shutil.copytree(folder, copy)
    assert data.find(copy).fingerprint() == first
    (copy / "Testing" / "dark" / "0.png").rename(copy / "Testing" / "dark" / "9.png")
    renamed = data.find(copy).fingerprint()
    (folder / "Testing" / "dark" / "0.png").write_bytes((folder / "Testing" / "dark" / "1.png").read_bytes())
    assert len({first, renamed, data.find(folder).fingerprint()}) == 3
