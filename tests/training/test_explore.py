"""What a data set holds, as numbers and on a page: known images give known numbers, and a planted flaw is named."""

import csv
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from brain_tumor.image import Preprocessor
from tests.training.scans import phantom
from training import data
from training.data import DataError, DataSet
from training.explore import choose, explore
from training.explore.__main__ import main
from training.explore.measure import BLACK, SIDE, Average, Measured, measure, measured
from training.explore.summary import MEASURES, larger, looked_up

NOTEBOOK = Path(__file__).parents[2] / "training" / "notebooks" / "explore.ipynb"
FIGURES = {"classes", "samples", "sizes", "aspect-ratio", "brightness", "border", "border-brightness"}
FIGURES |= {"bits-per-pixel", "averages"}


def grey(seed: int, height: int = 40, width: int = 50) -> np.ndarray:
    """uint8 (height, width), any grey level, black at the edge."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    pixels[:2] = pixels[-2:] = pixels[:, :2] = pixels[:, -2:] = 0
    return pixels


def write(folder: Path, classes: dict[str, list[Image.Image]], suffix: str = ".png", testing: int = 4) -> Path:
    """A data set without a manifest; the first ``testing`` images of each class go to Testing."""
    for name, images in classes.items():
        for index, image in enumerate(images):
            path = folder / ("Testing" if index < testing else "Training") / name / f"{index:02d}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
    return folder


def framed(image: np.ndarray) -> Image.Image:
    """The image with a white frame of two pixels."""
    white = np.full_like(image, 255)
    white[2:-2, 2:-2] = image[2:-2, 2:-2]
    return Image.fromarray(white)


@pytest.fixture(scope="module")
def frames(tmp_path_factory) -> Path:
    """20 plain images of three sizes, and 20 of one size, of which all but two have a white frame."""
    plain = [Image.fromarray(grey(i, width=(30, 50, 50, 70)[i % 4])) for i in range(20)]
    white = [Image.fromarray(grey(i)) if i in (100, 119) else framed(grey(i)) for i in range(100, 120)]
    return write(tmp_path_factory.mktemp("frames"), {"plain": plain, "white": white})


@pytest.fixture(scope="module")
def explored(frames: Path, tmp_path_factory) -> tuple[dict, Path]:
    """The frames' summary, and the folder of the report."""
    out = tmp_path_factory.mktemp("out") / "new" / "report"
    return explore(data.find(frames), out, seed=1), out


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_a_images_numbers_are_numpys(mode: str, tmp_path: Path) -> None:
    colours = np.random.default_rng(5).integers(0, 256, (100, 140, 3), dtype=np.uint8)
    colours[:50] //= 10  # some black
    path = tmp_path / "a.png"
    Image.fromarray(colours).convert(mode).save(path)
    numbers, _ = measured(path.read_bytes(), "Training/some/a.png", Preprocessor(16, 16))
    pixels = np.asarray(Image.open(path).convert("RGB").convert("L")).astype(float)
    edge = np.ones(pixels.shape, bool)
    edge[3:-3, 3:-3] = False  # 3 % of 100
    expected = [f(of) for of in (pixels, pixels[edge]) for f in (np.mean, np.std, lambda x: (x < BLACK).mean())]
    assert numbers[8:] == pytest.approx(expected, abs=1e-4)
    assert numbers[:8] == (
        "Training/some/a.png", "Training", "some", 140, 100, "PNG", mode, path.stat().st_size,
    )  # fmt: skip


def test_a_turned_image_is_measured_upright(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # EXIF orientation: to be turned by 90 degrees
    Image.fromarray(grey(0, 40, 60)).save(path, exif=exif)
    numbers, _ = measured(path.read_bytes(), "Training/some/a.jpg", Preprocessor(16, 16))
    assert (numbers.width, numbers.height, numbers.format) == (40, 60, "JPEG")


def test_averages_are_numpys_over_images_as_a_model_sees_them(frames: Path) -> None:
    found = data.find(frames)
    survey = measure(found, found.training[:1])
    preprocessor = Preprocessor(SIDE, SIDE)
    for name in found.class_names:
        files = [file for file in found.training if Path(file).parent.name == name]
        seen = np.array([preprocessor.from_bytes((frames / file).read_bytes())[0, :, :, 0] for file in files])
        average = survey.averages["Training", name]
        assert average.count == 16
        np.testing.assert_allclose(average.mean, seen.mean(0))
        np.testing.assert_allclose(average.variance, seen.var(0), atol=1e-6)
    assert survey.samples.keys() == {found.training[0]}
    assert survey.samples[found.training[0]].shape == (SIDE, SIDE, 3)


def test_averages_of_parts_are_those_of_the_whole() -> None:
    parts, whole = [Average(8), Average(8)], Average(8)
    for index in range(7):
        for average in (parts[index % 2], whole):
            average.add(grey(index, 8, 8))
    joined = Average.of(parts)
    np.testing.assert_array_equal(joined.mean, whole.mean)
    np.testing.assert_array_equal(joined.variance, whole.variance)


def test_a_share_of_pairs_is_that_of_all_pairs() -> None:
    ours, others = np.array([3.0, 1, 2, 2]), np.array([2.0, 0, 1, 5, 2])
    counted = np.mean([(a > b) + (a == b) / 2 for a in ours for b in others])
    assert larger(ours, others) == {"share": pytest.approx(counted, abs=1e-4), "notable": False}


def test_a_difference_is_notable_only_beyond_chance() -> None:
    generator = np.random.default_rng(0)
    assert larger(generator.normal(1, 1, 100), generator.normal(0, 1, 100))["notable"]
    assert larger(generator.normal(-1, 1, 100), generator.normal(0, 1, 100))["notable"]
    assert not larger(generator.normal(0, 1, 100), generator.normal(0, 1, 100))["notable"]
    assert not larger(np.array([2.0]), np.array([1.0]))["notable"]  # always larger, of one pair


def test_looking_up_answers_the_commonest_class_of_the_same_key() -> None:
    split = np.array(["Training"] * 6 + ["Testing"] * 4)
    label = np.array([0, 0, 1, 1, 1, 1, 0, 1, 0, 1])
    keys = ["a", "a", "a", "b", "b", "b", "a", "a", "b", "unknown"]
    assert looked_up(keys, label, split) == 0.5  # right for the first and the last, whose key is new
    assert looked_up([None] * 10, label, split) == 0.5


def test_sizes_are_counted(explored) -> None:
    summary, _ = explored
    plain = summary["classes"]["Training"]["plain"]
    assert plain["different_sizes"] == 3
    assert plain["commonest_sizes"] == {"50x40": 8, "30x40": 4, "70x40": 4}
    assert summary["classes"]["Testing"]["white"]["commonest_sizes"] == {"50x40": 4}
    assert plain["formats"] == {"PNG L": 16}
    # 50x40 is white by the majority of Training: all 4 white ones of Testing, and the 2 plain ones of other sizes.
    assert summary["looked_up"] == {"nothing": 0.5, "size": 6 / 8, "format and mode": 0.5}


def test_a_white_frame_in_one_class_is_found(explored) -> None:
    summary, out = explored
    classes = summary["classes"]["Training"]
    assert classes["plain"]["border_not_black"] == 0
    assert classes["white"]["border_not_black"] == 15 / 16
    assert classes["white"]["means"]["border brightness"] == pytest.approx(255 * 15 / 16)
    assert summary["pairs"]["border brightness"]["white"]["share"] == pytest.approx(0.5 + 0.5 * 15 / 16, abs=1e-4)
    assert summary["pairs"]["border brightness"]["white"]["notable"]
    # Half of the images are white: their average is half a frame above that of all.
    for name in ("plain", "white"):
        assert summary["averages"][name]["border_difference"] > 80
        assert summary["averages"][name]["border_difference"] > 5 * summary["averages"][name]["border_by_chance"]
    page = (out / "report.html").read_text()
    assert "the border is not black in 93.8 % of white and in 0.0 % of plain" in page
    assert "Classes stand out in border brightness" in page


def test_the_report_shows_every_figure_and_a_row_a_image_is_kept(explored, frames: Path) -> None:
    summary, out = explored
    page = (out / "report.html").read_text()
    assert {path.stem for path in out.glob("*.png")} == FIGURES == set(re.findall(r'<img src="([^"]+)\.png"', page))
    assert json.loads((out / "explore.json").read_text()) == summary
    assert summary["fingerprint"] == data.find(frames).fingerprint()
    with (out / "images.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = data.find(frames)
    assert [row["file"] for row in rows] == [*found.training, *found.testing]
    assert tuple(rows[0]) == Measured._fields
    mean = np.mean([float(row["mean"]) for row in rows if (row["split"], row["class_name"]) == ("Training", "plain")])
    assert summary["classes"]["Training"]["plain"]["means"]["brightness"] == pytest.approx(mean, abs=1e-4)


def test_the_same_data_and_seed_write_the_same_files(explored, frames: Path, tmp_path: Path) -> None:
    _, out = explored
    explore(data.find(frames), tmp_path, seed=1)
    for name in ("explore.json", "images.csv", "report.html"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_another_seed_shows_other_samples(frames: Path) -> None:
    found = data.find(frames)
    assert choose(found, 1) == choose(found, 1)
    assert choose(found, 1) != choose(found, 2)
    for split, files in (("Training", found.training), ("Testing", found.testing)):
        for name in found.class_names:
            chosen = choose(found, 1)[split][name]
            assert len(set(chosen)) == 4
            assert set(chosen) <= {file for file in files if Path(file).parent.name == name}


def test_many_classes_of_all_kinds_of_images_make_a_report(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    kinds = [("L", ".jpg", 16, 16), ("RGB", ".webp", 16, 300), ("RGBA", ".png", 90, 20), ("P", ".png", 64, 64)]
    kinds += [("I;16", ".tif", 32, 40), ("L", ".bmp", 30, 30)]
    for index, (mode, suffix, height, width) in enumerate(kinds):
        pixels = grey(index, height, width)
        image = Image.fromarray(pixels.astype(np.uint16) * 9 if mode == "I;16" else pixels)
        write(folder, {f"class {index}": [image if mode == "I;16" else image.convert(mode)] * 2}, suffix, testing=1)
    summary = explore(data.find(folder), tmp_path / "out", seed=0)
    assert summary["images"] == {"Training": 6, "Testing": 6}
    found = [next(iter(each["formats"])) for each in summary["classes"]["Training"].values()]
    assert found == ["JPEG L", "WEBP RGB", "PNG RGBA", "PNG P", "TIFF I;16", "BMP L"]
    assert summary["looked_up"]["format and mode"] == 1
    assert not any(each["notable"] for row in summary["pairs"].values() for each in row.values())  # one image each


def test_the_command_explores_a_phantom(tmp_path: Path) -> None:
    folder = phantom(tmp_path / "data", size=48)
    assert main([str(folder), str(tmp_path / "out"), "--seed", "3"]) == 0
    summary = json.loads((tmp_path / "out" / "explore.json").read_text())
    assert (summary["data"], summary["seed"]) == ("phantom", 3)
    assert set(summary["pairs"]) == set(MEASURES)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Every image is 48 x 48 pixels" in page
    assert "Every file is JPEG L" in page
    assert "none has a frame in another colour" in page


def break_a_image(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def shrink_a_image(path: Path) -> None:
    Image.new("L", (8, 8)).save(path)


@pytest.mark.parametrize("spoil", [break_a_image, shrink_a_image])
def test_a_image_that_cannot_be_used_is_named(spoil, tmp_path: Path, capsys) -> None:
    folder = write(tmp_path / "data", {name: [Image.fromarray(grey(i)) for i in range(6)] for name in ("a", "b")})
    spoil(folder / "Testing" / "b" / "02.png")
    with pytest.raises(DataError, match=r"cannot read .*Testing/b/02\.png"):
        measure(data.find(folder))
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


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    names = [cell["id"] for cell in notebook["cells"]]
    assert len(set(names)) == len(names)
    for cell in notebook["cells"]:
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", cell["id"])
        assert isinstance(cell["metadata"], dict)
        code = cell["cell_type"] == "code"
        assert cell.keys() == {"cell_type", "id", "metadata", "source"} | (
            {"outputs", "execution_count"} if code else set()
        )
        assert not code or (cell["outputs"], cell["execution_count"]) == ([], None)


def test_the_notebook_runs_from_its_first_cell_to_its_last(frames: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    shown = []
    if importlib.util.find_spec("IPython") is None:
        stand_in = ModuleType("IPython.display")
        stand_in.Image = lambda filename: Path(filename).read_bytes()
        stand_in.display = shown.append
        monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
        monkeypatch.setitem(sys.modules, "IPython.display", stand_in)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(NOTEBOOK.parent)
    monkeypatch.setenv("DATA", str(frames))
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    namespace: dict = {}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), namespace)
    assert (tmp_path / "out" / "report.html").exists()
    assert isinstance(namespace["found"], DataSet)
    assert len(namespace["rows"]) == 40
    assert not shown or all(each.startswith(b"\x89PNG") for each in shown)
    assert "255.0" in capsys.readouterr().out  # the whitest borders come first
