"""The files that an exploration writes, and its command."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.explore.images import grey, write
from tests.training.scans import phantom
from training.data.data_set import find
from training.data.errors import DataError
from training.explore.__main__ import main
from training.explore.exploration import explore, sample_files
from training.explore.measure import Measured, measure
from training.explore.summary import MEASURES

FIGURES = {"classes", "samples", "sizes", "aspect-ratio", "brightness", "border", "border-brightness"}
FIGURES |= {"bits-per-pixel", "averages"}


def test_the_report_shows_every_figure_and_images_csv_has_every_image(explored, frames: Path) -> None:
    summary, out = explored
    page = (out / "report.html").read_text()
    assert {path.stem for path in out.glob("*.png")} == FIGURES == set(re.findall(r'<img src="([^"]+)\.png"', page))
    assert json.loads((out / "explore.json").read_text()) == summary
    assert summary["fingerprint"] == find(frames).fingerprint()
    with (out / "images.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    data = find(frames)
    assert [row["file"] for row in rows] == [*data.training, *data.testing]
    assert tuple(rows[0]) == Measured._fields
    mean = np.mean([float(row["mean"]) for row in rows if (row["split"], row["class_name"]) == ("Training", "plain")])
    assert summary["classes"]["Training"]["plain"]["means"]["brightness"] == pytest.approx(mean, abs=1e-4)


def test_the_same_data_and_seed_write_the_same_files(explored, frames: Path, tmp_path: Path) -> None:
    _, out = explored
    explore(find(frames), tmp_path, seed=1)
    for name in ("explore.json", "images.csv", "report.html", "report.md"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_another_seed_shows_other_samples(frames: Path) -> None:
    data = find(frames)
    assert sample_files(data, 1) == sample_files(data, 1)
    assert sample_files(data, 1) != sample_files(data, 2)
    for split, files in (("Training", data.training), ("Testing", data.testing)):
        for name in data.class_names:
            samples = sample_files(data, 1)[split][name]
            assert len(set(samples)) == 4
            assert set(samples) <= {file for file in files if Path(file).parent.name == name}


def test_many_classes_of_all_kinds_of_images_make_a_report(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    kinds = [("L", ".jpg", 16, 16), ("RGB", ".webp", 16, 300), ("RGBA", ".png", 90, 20), ("P", ".png", 64, 64)]
    kinds += [("I;16", ".tif", 32, 40), ("L", ".bmp", 30, 30)]
    for index, (mode, suffix, height, width) in enumerate(kinds):
        pixels = grey(index, height, width)
        image = Image.fromarray(pixels.astype(np.uint16) * 9 if mode == "I;16" else pixels)
        write(folder, {f"class {index}": [image if mode == "I;16" else image.convert(mode)] * 2}, suffix, testing=1)
    summary = explore(find(folder), tmp_path / "out", seed=0)
    assert summary["images"] == {"Training": 6, "Testing": 6}
    formats = [next(iter(group["formats"])) for group in summary["classes"]["Training"].values()]
    assert formats == ["JPEG L", "WEBP RGB", "PNG RGBA", "PNG P", "TIFF I;16", "BMP L"]
    assert summary["majority_class_lookup"]["format and mode"] == 1
    assert not any(pair["notable"] for row in summary["pairs"].values() for pair in row.values())  # one image each


def test_the_command_explores_a_phantom(tmp_path: Path) -> None:
    folder = phantom(tmp_path / "data", size=48)
    assert main([str(folder), str(tmp_path / "out"), "--seed", "3"]) == 0
    summary = json.loads((tmp_path / "out" / "explore.json").read_text())
    assert (summary["data"], summary["seed"]) == ("phantom", 3)
    assert set(summary["pairs"]) == set(MEASURES)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Every image is 48 x 48 pixels" in page
    assert "Every file is JPEG L" in page
    assert "no image has a frame in another colour" in page


def break_an_image(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def shrink_an_image(path: Path) -> None:
    Image.new("L", (8, 8)).save(path)


@pytest.mark.parametrize("spoil", [break_an_image, shrink_an_image])
def test_an_image_that_cannot_be_used_is_named(spoil, tmp_path: Path, capsys) -> None:
    folder = write(tmp_path / "data", {name: [Image.fromarray(grey(i)) for i in range(6)] for name in ("a", "b")})
    spoil(folder / "Testing" / "b" / "02.png")
    with pytest.raises(DataError, match=r"cannot read .*Testing/b/02\.png"):
        measure(find(folder))
    with pytest.raises(SystemExit) as ended:
        main([str(folder), str(tmp_path / "out")])
    assert ended.value.code == 1
    assert "02.png" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_a_negative_seed_and_a_missing_folder_are_refused(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path), str(tmp_path / "out"), "--seed", "-1"])
    assert ended.value.code == 2
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "nowhere"), str(tmp_path / "out")])
    assert ended.value.code == 1
    assert "there is no folder" in capsys.readouterr().err
