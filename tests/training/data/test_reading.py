"""Images are read by the gateway's preprocessing, and failures are named."""

import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brain_tumor.metadata import ImageSpec
from brain_tumor.preprocess import Preprocessor
from training.data.data_set import find
from training.data.errors import DataError
from training.data.reading import read, sizes


def test_reading_is_the_gateways_preprocessing(folder: Path) -> None:
    data, preprocessor = find(folder), Preprocessor(ImageSpec(16, 16))
    pixels = read(folder, list(data.testing), preprocessor)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (4, 16, 16, 3)
    for file, image in zip(data.testing, pixels, strict=True):
        np.testing.assert_array_equal(image, preprocessor.from_bytes((folder / file).read_bytes())[0])


def test_an_unreadable_image_is_named(folder: Path) -> None:
    (folder / "Training" / "dark" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(DataError, match=r"cannot read .*dark/2\.png"):
        read(folder, list(find(folder).training), Preprocessor(ImageSpec(16, 16)))
    with pytest.raises(DataError, match=r"cannot read .*dark/2\.png"):
        sizes(folder, list(find(folder).training), Preprocessor(ImageSpec(16, 16)))


def test_sizes_are_those_before_the_preprocessing(folder: Path) -> None:
    image = Image.new("L", (30, 70))
    image.save(folder / "Training" / "dark" / "2.png")
    assert sizes(folder, ["Training/dark/2.png"], Preprocessor(ImageSpec(16, 16, crop_to_head=True))) == [70]


def test_images_without_room_are_refused_before_they_are_read(folder: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(DataError, match=r"no room for 1 MB of decoded images in .* let TMPDIR name another"):
            read(folder, ["Training/dark/0.png"], Preprocessor(ImageSpec(600, 600)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
