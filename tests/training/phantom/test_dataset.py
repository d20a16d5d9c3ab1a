"""A phantom on disk: its layout, its manifest, what its images show, and how the command fails."""

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.training.scans import image, manifest, mask, phantom
from training.phantom.__main__ import main
from training.phantom.dataset import PhantomError, Plan, write


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom(tmp_path_factory.mktemp("phantom") / "data", training=24)


def test_the_command_writes_the_same_bytes_with_two_workers(data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training.phantom", tmp_path / "out", "--patients", "24", "12", "--size", "48"]
    done = subprocess.run([*command, "--masks", "--workers", "2"], capture_output=True, text=True, check=True)
    assert "72 images" in done.stdout
    assert "100%" in done.stderr
    assert contents(tmp_path / "out") == contents(data)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_another_seed_gives_other_images(data: Path, tmp_path: Path) -> None:
    other, first = contents(phantom(tmp_path / "other", seed=1)), contents(data)
    images = [name for name in other if name.endswith(".jpg") and name in first]
    assert len(images) == 48
    assert not any(other[name] == first[name] for name in images)


def test_layout_and_names_are_those_of_the_kaggle_set(data: Path) -> None:
    jpegs = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.jpg"))
    assert jpegs[:3] == [f"Testing/glioma/Te-gl_000{number}.jpg" for number in range(3)]
    assert Counter(name.rsplit("_", 1)[0] for name in jpegs) == {
        f"{split}/{name}/{short}-{name[:2]}": count
        for split, short, count in (("Training", "Tr", 12), ("Testing", "Te", 6))
        for name in ("glioma", "meningioma", "notumor", "pituitary")
    }
    assert jpegs == sorted(entry["file"] for entry in manifest(data))
    assert json.loads((data / "manifest.json").read_text())["data"] == "phantom"


def test_every_class_has_as_many_patients_in_each_plane(data: Path) -> None:
    counts = Counter((entry["split"], entry["class"], entry["plane"]) for entry in manifest(data))
    assert len(counts) == 2 * 4 * 3
    assert {split: {n for (s, _, _), n in counts.items() if s == split} for split in ("Training", "Testing")} == {
        "Training": {4},
        "Testing": {2},
    }


def test_no_patient_is_in_both_splits_or_two_classes(data: Path) -> None:
    groups: dict[int, set] = {}
    for entry in manifest(data):
        groups.setdefault(entry["patient"], set()).add((entry["split"], entry["class"], entry["plane"]))
    assert len(groups) == 36
    assert all(len(group) == 1 for group in groups.values())


def test_a_tumour_shows_in_every_slice_but_those_of_notumor(data: Path) -> None:
    areas = {entry["file"]: mask(data, entry["file"]).mean() for entry in manifest(data)}
    for file, area in areas.items():
        assert (area == 0) if "/notumor/" in file else (0.002 < area < 0.1), file


def test_a_tumour_can_be_seen(data: Path) -> None:
    """Its pixels differ from the rest of the same head more than the noise does."""
    contrast = []
    for entry in manifest(data):
        pixels, tumour = image(data, entry["file"]).astype(float), mask(data, entry["file"])
        head = (pixels > 30) & ~tumour
        if tumour.any():
            contrast.append(abs(pixels[tumour].mean() - np.median(pixels[head])) / pixels[head].std())
    assert np.median(contrast) > 0.5


def test_two_slices_of_a_patient_show_the_same_head(data: Path) -> None:
    images = {entry["file"]: image(data, entry["file"]).astype(float).ravel() for entry in manifest(data)}
    files = sorted(images)
    same, different = [], []
    for index in range(0, len(files) - 6, 2):
        same.append(np.corrcoef(images[files[index]], images[files[index + 1]])[0, 1])
        different.append(np.corrcoef(images[files[index]], images[files[index + 6]])[0, 1])  # same plane
    assert np.mean(same) > np.mean(different) + 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--patients", "13", "12"], "multiples of 12"),
        (["--patients", "12", "0"], "multiples of 12"),
        (["--size", "8"], "--size must be 32 to 1024"),
        (["--seed", "-1"], "--seed must not be negative"),
        (["--workers", "0"], "--workers must be 1 or more"),
    ],
)
def test_bad_options_are_refused(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "out"), *options])
    assert stopped.value.code != 0
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path), "--patients", "12", "12", "--workers", "1"])
    assert stopped.value.code == 1
    assert "not an empty folder" in capsys.readouterr().err
    assert contents(tmp_path) == {"mine.txt": b"precious"}


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    phantom(tmp_path / "out", size=32)
    assert (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_it_and_leaves_nothing(workers: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training.phantom", tmp_path / "out", "--workers", str(workers)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stderr is not None
        seen = ""
        while "patient/s" not in seen:  # the bar has begun; an ended process ends this, too
            piece = process.stderr.read(1)
            assert piece, seen
            seen += piece
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert "stopped; nothing written" in process.stderr.read()
    assert not list(tmp_path.iterdir())


def test_nothing_half_is_left_when_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PhantomError, match="cannot write"):
        write(Plan(12, 12, seed=0, size=32), tmp_path / "file" / "out", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
