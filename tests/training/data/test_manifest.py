"""The command on folders and on the phantom: the manifest it writes, and its messages when the images differ."""

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.processes import ROOT
from tests.training.scans import phantom
from training.data import manifest
from training.data.__main__ import main
from training.data.data_set import find
from training.data.errors import DataError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom(tmp_path_factory.mktemp("manifest") / "made", size=32)


@pytest.fixture(autouse=True)
def _all_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def fails(*arguments: object) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 1


def test_every_image_is_named_with_its_hash(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "Training" / "dark" / "notes.txt").write_text("no image")
    assert main([str(folder)]) == 0
    document = json.loads((folder / "manifest.json").read_text())
    assert document["data"] == "scans"
    assert len(document["images"]) == 12
    for entry in document["images"]:
        assert entry["sha256"] == hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest()
        assert entry["file"].split("/")[:2] == [entry["split"], entry["class"]]
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["scans", "Training", "Testing"],
        ["bright", "4", "2"],
        ["dark", "4", "2"],
        ["together", "8", "4"],
        [str(folder)],
    ]


def test_the_data_keep_their_name_wherever_they_go(folder: Path, tmp_path: Path) -> None:
    main([str(folder)])
    folder.rename(tmp_path / "elsewhere")
    moved = find(tmp_path / "elsewhere")
    assert moved.name == "scans"
    assert moved.patients == {}


def test_a_manifest_that_fits_is_left_as_it_is(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    main([str(folder)])
    before = (folder / "manifest.json").stat()
    assert main([str(folder)]) == 0
    assert main([str(folder), "--check"]) == 0
    assert (folder / "manifest.json").stat() == before
    assert "12 images are as" in caplog.text


def spoil(folder: Path) -> None:
    (folder / "Training/dark/0.png").unlink()
    Image.new("L", (20, 20), 7).save(folder / "Testing/bright/0.png")
    Image.new("L", (20, 20), 8).save(folder / "Training/bright/more.png")


@pytest.mark.parametrize("options", [["--check"], []])
def test_what_is_missing_changed_or_new_is_named(
    options: list[str], folder: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(folder)])
    before = (folder / "manifest.json").read_bytes()
    spoil(folder)
    capsys.readouterr()
    caplog.clear()
    fails(folder, *options)
    assert caplog.messages == [
        "missing: Training/dark/0.png",
        "changed: Testing/bright/0.png",
        "new: Training/bright/more.png",
    ]
    printed = capsys.readouterr()
    assert "(1 missing, 1 changed, 1 new): bring the images back, or remove the manifest" in printed.err
    assert not printed.out
    assert (folder / "manifest.json").read_bytes() == before


def test_many_differences_are_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    main([str(folder)])
    for index in range(25):
        shutil.copy(folder / "Training/dark/0.png", folder / f"Training/dark/copy{index:02}.png")
    caplog.clear()
    fails(folder, "--check")
    assert len(caplog.messages) == 21
    assert caplog.messages[-1] == "new: 5 more"


def test_a_check_without_a_manifest_writes_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fails(folder, "--check")
    assert "without --check it is written" in capsys.readouterr().err
    assert not (folder / "manifest.json").exists()


def test_the_phantom_brings_a_manifest_with_hashes(made: Path) -> None:
    before = (made / "manifest.json").read_bytes()
    assert main([str(made), "--check"]) == 0
    assert main([str(made)]) == 0
    assert (made / "manifest.json").read_bytes() == before


def test_hashes_are_added_to_a_manifest_without_and_all_else_is_kept(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    shutil.copytree(made, old)
    document = json.loads((old / "manifest.json").read_text())
    for number, entry in enumerate(document["images"]):
        if number % 2:
            entry["sha256"] = None
        else:
            del entry["sha256"]
    (old / "manifest.json").write_text(json.dumps(document))
    fails(old, "--check")
    assert "without --check they are added" in capsys.readouterr().err
    assert main([str(old)]) == 0
    assert (old / "manifest.json").read_bytes() == (made / "manifest.json").read_bytes()


def test_the_manifest_can_lie_elsewhere(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = tmp_path / "kept.json"
    assert main([str(folder), "--manifest", str(elsewhere)]) == 0
    assert not (folder / "manifest.json").exists()
    assert main([str(folder), "--manifest", str(elsewhere), "--check"]) == 0
    spoil(folder)
    fails(folder, "--manifest", elsewhere)
    fails(folder, "--manifest", tmp_path / "no" / "such" / "folder.json")
    assert "No such file or directory; name another file with --manifest" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_used_without(folder: Path) -> None:
    # Root may write everywhere, unless it gives that up.
    ordinary = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    if ordinary and not shutil.which("setpriv"):
        pytest.skip("root, and no setpriv")
    folder.chmod(0o555)
    try:
        done = subprocess.run(
            [*ordinary, sys.executable, "-m", "training.data", folder], cwd=ROOT, capture_output=True, text=True
        )
    finally:
        folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(folder)
    assert f"warning: cannot write {folder / 'manifest.json'}: Permission denied" in done.stderr
    assert "--manifest" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        '{"data": "x"',
        "[]",
        '{"images": []}',
        '{"data": "x", "images": 1}',
        '{"data": "x", "images": [1]}',
        '{"data": "x", "images": [{"patient": 1}]}',
    ],
)
def test_a_file_that_is_no_manifest_is_refused(text: str, folder: Path) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"manifest\.json is not a manifest of images: remove it"):
        manifest.read(folder / "manifest.json")


@pytest.mark.parametrize("text", ["{}", '{"data": "x", "scans": [{"file": "a", "patient": 1}]}'])
def test_a_manifest_with_its_list_under_another_name_is_to_be_renamed_and_not_removed(text: str, folder: Path) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(
        DataError, match=r'manifest\.json has no list "images"\. .* rename its list as CHANGELOG\.md says'
    ):
        manifest.read(folder / "manifest.json")


def test_an_image_named_twice_is_refused(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"data": "x", "images": [{"file": "a"}, {"file": "a"}]}')
    with pytest.raises(DataError, match="names an image twice"):
        manifest.read(folder / "manifest.json")


def test_an_image_that_cannot_be_read_is_named(folder: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*dark/9\.png: No such file"):
        manifest.hash_files(folder, ["Training/dark/0.png", "Training/dark/9.png"])


def test_the_phantom_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "made"
    options = ["--patients", "12", "12", "--size", "32", "--workers", "1"]
    assert main(["phantom", "--out", str(out), *options]) == 0
    first = capsys.readouterr().out.splitlines()
    assert first[-1] == str(out)
    assert first[-2].split() == ["together", "24", "24"]
    assert find(out).name == "phantom"
    assert main(["phantom", "--out", str(out)]) == 0  # it is there
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    fails("phantom", "--out", out, *options)
    assert "exists and is not an empty folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["phantom", "--out", str(out), "--check", *options])


def test_a_check_makes_no_phantom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fails("phantom", "--out", tmp_path / "made", "--check")
    assert f"there is no folder {tmp_path / 'made'}" in capsys.readouterr().err


def test_an_image_whose_patient_is_null_has_none(tmp_path: Path) -> None:
    entries = [{"file": f"Training/a/{n}.png", "patient": patient} for n, patient in enumerate((None, 7, "x"))]
    (tmp_path / "manifest.json").write_text(json.dumps({"data": "d", "images": entries}))
    assert manifest.read(tmp_path / "manifest.json").patients() == {"Training/a/1.png": 7, "Training/a/2.png": "x"}


def test_a_patient_that_is_neither_text_nor_number_is_refused(tmp_path: Path) -> None:
    entries = [{"file": "Training/a/0.png", "patient": ["x"]}]
    (tmp_path / "manifest.json").write_text(json.dumps({"data": "d", "images": entries}))
    with pytest.raises(DataError, match="something other than a text or a number"):
        manifest.read(tmp_path / "manifest.json")


@pytest.fixture
def split_less(folder: Path) -> Path:
    """A folder for each of two classes, eight images in all, two of which are one file twice."""
    shutil.rmtree(folder / "Testing")
    for path in (folder / "Training").iterdir():
        path.rename(folder / path.name)
    (folder / "Training").rmdir()
    shutil.copy(folder / "dark" / "0.png", folder / "dark" / "3.png")
    return folder


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_manifest_keeps_the_test_images_that_were_drawn_and_no_image_is_moved(
    split_less: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, drawn = files_in(split_less), find(split_less)
    assert main([str(split_less)]) == 0
    assert files_in(split_less) == before | {"manifest.json"}
    assert [line.split() for line in capsys.readouterr().out.splitlines()[:-2]] == [
        ["scans", "Training", "Testing"],
        ["bright", "3", "1"],
        ["dark", "3", "1"],
    ]
    document = json.loads((split_less / "manifest.json").read_text())
    assert document["drawn"]["testing"] == 0.2
    assert {entry["file"]: (entry["class"], entry["split"]) for entry in document["images"]} == {
        file: (drawn.classes[file], drawn.split_of(file)) for file in drawn.classes
    }
    splits = {entry["file"]: entry["split"] for entry in document["images"]}
    assert splits["dark/0.png"] == splits["dark/3.png"]
    assert find(split_less) == drawn
    assert main([str(split_less), "--check"]) == 0


def test_the_manifest_is_believed_and_not_drawn_anew(split_less: Path) -> None:
    main([str(split_less)])
    document = json.loads((split_less / "manifest.json").read_text())
    for entry in document["images"]:
        entry["split"] = "Testing" if entry["file"][-5] in "12" else "Training"
    (split_less / "manifest.json").write_text(json.dumps(document))
    assert main([str(split_less)]) == 0
    assert [file[-5] for file in find(split_less).testing] == ["1", "2", "1", "2"]


def test_a_manifest_elsewhere_that_says_another_split_is_refused(
    split_less: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "kept.json"
    assert main([str(split_less), "--manifest", str(elsewhere)]) == 0
    assert main([str(split_less), "--manifest", str(elsewhere), "--check"]) == 0
    document = json.loads(elsewhere.read_text())
    for entry in document["images"]:
        entry["split"] = "Testing" if entry["split"] == "Training" else "Training"
    elsewhere.write_text(json.dumps(document))
    fails(split_less, "--manifest", elsewhere)
    assert (
        "kept.json has bright/0.png in Testing/bright, and the images' folder has it in Training/bright: remove"
        in capsys.readouterr().err
    )


def test_the_class_without_tumour_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder)]) == 0
    assert find(folder).healthy is None
    assert main([str(folder), "--healthy", "dark"]) == 0
    assert json.loads((folder / "manifest.json").read_text())["healthy"] == "dark"
    assert find(folder).healthy == "dark"
    before = (folder / "manifest.json").read_bytes()
    assert main([str(folder)]) == 0
    assert (folder / "manifest.json").read_bytes() == before
    fails(folder, "--healthy", "drak")
    assert "there is no class drak" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main([str(folder), "--healthy", "bright", "--check"])
    assert stopped.value.code == 2


def test_two_classes_that_may_be_the_one_without_tumour_are_to_be_told_apart(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("Training", "Testing"):
        (folder / split / "bright").rename(folder / split / "no")
        (folder / split / "dark").rename(folder / split / "Healthy")
    fails(folder)
    assert "Healthy, no may all be the class without tumour: name it with --healthy" in capsys.readouterr().err
    assert main([str(folder), "--healthy", "Healthy"]) == 0
    assert find(folder).healthy == "Healthy"
