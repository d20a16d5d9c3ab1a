"""The preprocessing against that of TensorFlow and Keras: a model from their pipelines sees the same pixels here.

The images are PNG: TensorFlow decodes a JPEG with a faster transform, which differs from Pillow's and OpenCV's by some
grey levels.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from brain_tumor.image import decode
from brain_tumor.metadata import NO_ANTIALIAS, ImageSpec
from brain_tumor.preprocess import Preprocessor
from tests.processes import EXAMPLES

SIZES = [(32, 32), (299, 299), (50, 90), (95, 75)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of several forms, in the layout of image_dataset_from_directory, which sorts them by name."""
    folder = tmp_path_factory.mktemp("libraries")
    (folder / "class").mkdir()
    scan = decode((EXAMPLES / "glioma.jpg").read_bytes())
    noise = np.random.default_rng(0).integers(0, 256, (61, 180, 3), dtype=np.uint8)
    images = {"scan": scan, "tall": scan.crop((40, 10, 121, 190)), "wide": scan.crop((5, 60, 190, 133)), "line": scan}
    images["line"] = scan.crop((90, 0, 106, 192))
    images["noise"] = Image.fromarray(noise)
    for name, image in images.items():
        image.save(folder / "class" / f"{name}.png")
    return folder


def largest_difference(spec: ImageSpec, folder: Path, expected: np.ndarray) -> float:
    """From the expected images, in the order of the files' names, (n, height, width, channel)."""
    ours = np.concatenate([Preprocessor(spec).from_path(path) for path in sorted((folder / "class").iterdir())])
    return np.abs(ours.astype(np.float64) - expected).max()


def dataset(folder: Path, size: tuple[int, int], **options: object) -> np.ndarray:
    batches = keras.utils.image_dataset_from_directory(
        folder, image_size=size, shuffle=False, labels=None, verbose=False, **options
    )
    return np.concatenate(list(batches.as_numpy_iterator()))


@pytest.mark.parametrize("size", SIZES)
def test_image_dataset_from_directory(folder: Path, size: tuple[int, int]) -> None:
    assert largest_difference(ImageSpec(*size, NO_ANTIALIAS), folder, dataset(folder, size)) < 1
    spec = ImageSpec(*size, NO_ANTIALIAS, pad_to_aspect_ratio=True)
    assert largest_difference(spec, folder, dataset(folder, size, pad_to_aspect_ratio=True)) < 1


def test_image_resize(folder: Path) -> None:
    images = [np.asarray(Image.open(path)) for path in sorted((folder / "class").iterdir())]
    resized = np.stack([tf.image.resize(image, (40, 30), "bilinear", antialias=False) for image in images])
    assert largest_difference(ImageSpec(40, 30, NO_ANTIALIAS), folder, resized) < 1
    # Pillow's filter rounds to bytes twice, once along each side.
    antialiased = np.stack([tf.image.resize(image, (40, 30), "bilinear", antialias=True) for image in images])
    assert largest_difference(ImageSpec(40, 30), folder, antialiased) < 2
    assert largest_difference(ImageSpec(40, 30), folder, resized) > 20


def test_load_img(folder: Path) -> None:
    for name in ("nearest", "bilinear", "lanczos"):
        for mode in ("rgb", "grayscale"):
            loaded = [
                keras.utils.img_to_array(keras.utils.load_img(path, mode, target_size=(40, 30), interpolation=name))
                for path in sorted((folder / "class").iterdir())
            ]
            spec = ImageSpec(40, 30, name, mode)
            assert largest_difference(spec, folder, np.stack(loaded)) == 0, spec  # one channel stands for three
