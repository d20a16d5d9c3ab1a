"""The command on MATLAB files like those of figshare's set: images, patients, and what stops it."""

import io
import json
import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.data.mat_files import figshare, mat_file, scan
from tests.training.refusal import assert_refused
from training.data.__main__ import main
from training.data.data_set import find
from training.data.errors import DataError


@pytest.fixture
def mats(tmp_path: Path) -> Path:
    return figshare(tmp_path / "mats")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_scan_becomes_an_image_and_no_patient_is_parted(
    mats: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "made"
    assert main([str(mats), "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    assert "none of the classes glioma, meningioma, pituitary is known as the one without tumour" in caplog.text
    data = find(out)
    assert (data.name, data.drawn, data.healthy) == ("figshare 1512427", True, None)
    assert data.class_names == ("glioma", "meningioma", "pituitary")
    assert np.bincount(data.labels(data.training)).tolist() == [8, 8, 8]
    assert np.bincount(data.labels(data.testing)).tolist() == [2, 2, 2]
    assert not {data.patients[file] for file in data.training} & {data.patients[file] for file in data.testing}
    assert data.classes["meningioma/2.png"] == "meningioma"
    assert data.patients["meningioma/2.png"] == "MR000"
    with Image.open(out / "glioma" / "3.png") as image:
        assert image.mode == "I;16"
        np.testing.assert_array_equal(np.asarray(image), scan(2))


def test_done_again_it_changes_nothing_and_other_files_are_refused(
    mats: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(mats), "--out", str(tmp_path / "made")]
    assert main(arguments) == main([*arguments, "--check"]) == 0
    before = contents(tmp_path / "made")
    assert main(arguments) == 0
    assert contents(tmp_path / "made") == before
    (mats / "99.mat").write_bytes(mat_file(scan(99)))
    capsys.readouterr()
    assert_refused("data", main, arguments, "made exists and was not made of these files: remove it", capsys)
    (mats / "99.mat").unlink()
    (tmp_path / "made" / "manifest.json").unlink()
    assert_refused("data", main, arguments, "made exists and was not made of these files: remove it", capsys)


def test_zips_give_the_same_images_and_an_unpacked_file_counts_once(
    mats: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(mats), "--out", str(tmp_path / "made")])
    zips = tmp_path / "zips"
    zips.mkdir()
    files = sorted(path for path in mats.iterdir())
    for number, part in enumerate((files[:10], files[10:])):
        with zipfile.ZipFile(zips / f"brainTumorDataPublic_{number}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in part:
                archive.write(path, path.name)
    (zips / "some").mkdir()
    (zips / "some" / files[0].name).write_bytes(files[0].read_bytes())
    main([str(zips), "--out", str(tmp_path / "of zips")])
    assert contents(tmp_path / "of zips") == contents(tmp_path / "made")
    for another in (b"another", bytes(len(files[0].read_bytes()))):
        (zips / "some" / files[0].name).write_bytes(another)
        with pytest.raises(SystemExit):
            main([str(zips), "--out", str(tmp_path / "third")])
        assert "have one name: keep one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("7.mat", mat_file(scan(0), label=4), r"cannot read .*7\.mat: its label is 4"),
        ("7.mat", b"MATLAB 5.0 MAT-file", r"cannot read .*7\.mat: it is a MATLAB file of version 5"),
        ("brainTumorDataPublic_1-766.zip", b"PK\x03\x04", r"cannot read .*1-766\.zip: it is damaged or incomplete"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_nothing_is_left(
    name: str, content: bytes, message: str, mats: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mats / name).write_bytes(content)
    assert_refused("data", main, [str(mats), "--out", str(tmp_path / "to" / "made")], message, capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["mats"]


def test_a_damaged_file_in_a_zip_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("1.mat", mat_file(scan(0)))
    content = bytearray(stream.getvalue())
    content[2000:2100] = bytes(range(100))
    (tmp_path / "mats").mkdir()
    (tmp_path / "mats" / "brainTumorDataPublic_1-766.zip").write_bytes(content)
    arguments = [str(tmp_path / "mats"), "--out", str(tmp_path / "made")]
    assert_refused("data", main, arguments, r"cannot read .*1-766\.zip, 1\.mat: it is damaged; fetch it again", capsys)


def test_the_folder_of_the_files_is_not_the_data_set(mats: Path) -> None:
    with pytest.raises(DataError, match=r"holds MATLAB files: python -m training\.data .*mats makes images of them"):
        find(mats)


def test_a_run_that_stopped_before_the_split_goes_on(
    mats: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    arguments = [str(mats), "--out", str(tmp_path / "made")]
    main(arguments)
    path = tmp_path / "made" / "manifest.json"
    whole = path.read_text()
    document = json.loads(whole)
    del document["drawn"]
    for entry in document["images"]:
        del entry["split"], entry["sha256"]
    path.write_text(json.dumps(document))
    assert main(arguments) == 0
    assert path.read_text() == whole
