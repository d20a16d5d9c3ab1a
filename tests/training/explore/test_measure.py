"""The numbers of images, and averages over them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brain_tumor.metadata import ImageSpec
from brain_tumor.preprocess import Preprocessor
from tests.training.explore.images import grey
from training.data.data_set import find
from training.explore.measure import BLACK, SIDE, Average, measure, measure_image


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_the_numbers_of_an_image_are_those_of_numpy(mode: str, tmp_path: Path) -> None:
    colours = np.random.default_rng(5).integers(0, 256, (100, 140, 3), dtype=np.uint8)
    colours[:50] //= 10  # some black
    path = tmp_path / "a.png"
    Image.fromarray(colours).convert(mode).save(path)
    numbers, _ = measure_image(
        path.read_bytes(), "Training/some/a.png", "Training", "some", Preprocessor(ImageSpec(16, 16))
    )
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
    numbers, _ = measure_image(
        path.read_bytes(), "Training/some/a.jpg", "Training", "some", Preprocessor(ImageSpec(16, 16))
    )
    assert (numbers.width, numbers.height, numbers.format) == (40, 60, "JPEG")


def test_averages_are_those_of_numpy_over_images_as_a_model_sees_them(frames: Path) -> None:
    data = find(frames)
    survey = measure(data, data.training[:1])
    preprocessor = Preprocessor(ImageSpec(SIDE, SIDE))
    for name in data.class_names:
        files = [file for file in data.training if Path(file).parent.name == name]
        seen = np.array([preprocessor.from_bytes((frames / file).read_bytes())[0, :, :, 0] for file in files])
        average = survey.averages["Training", name]
        assert average.count == 16
        np.testing.assert_allclose(average.mean, seen.mean(0))
        np.testing.assert_allclose(average.variance, seen.var(0), atol=1e-6)
    assert survey.samples.keys() == {data.training[0]}
    assert survey.samples[data.training[0]].shape == (SIDE, SIDE, 3)


def test_class_and_split_are_the_data_sets_where_the_path_says_neither(frames: Path, tmp_path: Path) -> None:
    shutil.copytree(frames / "Training", tmp_path / "flat")
    data = find(tmp_path / "flat")
    images = measure(data).images
    assert [image.file for image in images] == [*data.training, *data.testing]
    assert [image.split for image in images] == ["Training"] * len(data.training) + ["Testing"] * len(data.testing)
    assert [image.class_name for image in images] == [data.classes[image.file] for image in images]


def test_averages_of_parts_are_those_of_the_whole() -> None:
    parts, whole = [Average(8), Average(8)], Average(8)
    for index in range(7):
        for average in (parts[index % 2], whole):
            average.add(grey(index, 8, 8))
    joined = Average.of(parts)
    np.testing.assert_array_equal(joined.mean, whole.mean)
    np.testing.assert_array_equal(joined.variance, whole.variance)
