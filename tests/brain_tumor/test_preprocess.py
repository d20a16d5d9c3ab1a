import numpy as np
import pytest
from PIL import Image

from brain_tumor.image import ImageTooLarge
from brain_tumor.metadata import NO_ANTIALIAS, RESAMPLINGS, ImageSpec
from brain_tumor.preprocess import Preprocessor
from tests.brain_tumor import images


@pytest.mark.parametrize("resampling", [name for name in RESAMPLINGS if name != NO_ANTIALIAS])
def test_pillows_filters_resize_as_pillow_does(resampling):
    image = images.noise((64, 48))
    batch = Preprocessor(ImageSpec(24, 32, resampling)).from_bytes(images.encode(image))
    assert batch.shape == (1, 24, 32, 3)
    assert batch.dtype == np.uint8
    expected = np.asarray(image.resize((32, 24), Image.Resampling[resampling.upper()]))
    np.testing.assert_array_equal(batch[0], expected)


def test_bilinear_antialiases():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    batch = Preprocessor(ImageSpec(32, 32)).from_bytes(images.encode(Image.fromarray(stripes)))
    assert np.abs(batch.astype(int) - 127).max() <= 6  # nearest neighbours would give 0 and 255


def test_preprocessor_refuses_more_pixels_than_its_limit():
    with pytest.raises(ImageTooLarge):
        Preprocessor(ImageSpec(24, 32), max_pixels=100).from_bytes(images.plain())


def test_from_path_gives_the_same_pixels(tmp_path):
    path = tmp_path / "scan.png"
    path.write_bytes(images.GLIOMA)
    np.testing.assert_array_equal(
        Preprocessor(ImageSpec(24, 32)).from_path(path), Preprocessor(ImageSpec(24, 32)).from_bytes(images.GLIOMA)
    )
