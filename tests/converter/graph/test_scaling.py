"""What a network takes for the pixels that are served."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from converter.graph.scaling import network_input

IMAGES = np.random.default_rng(3).integers(0, 256, (2, 60, 70, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    "scaling, expected",
    [
        ("none", lambda pixels: pixels),
        ("unit", lambda pixels: pixels / 255),
        ("tf", keras.applications.xception.preprocess_input),
        ("torch", keras.applications.densenet.preprocess_input),
        ("caffe", keras.applications.resnet50.preprocess_input),
    ],
)
def test_the_scalings_are_those_of_keras_applications(scaling, expected):
    scaled = network_input(tf.constant(IMAGES), 3, scaling, "float32")
    np.testing.assert_allclose(scaled, expected(IMAGES.astype(np.float32)), atol=1e-5)


def test_grey_levels_are_pillows():
    grey = network_input(tf.constant(IMAGES), 1, "none", "float32")
    expected = [np.asarray(Image.fromarray(image).convert("L")) for image in IMAGES]
    np.testing.assert_array_equal(grey[..., 0], expected)
    assert network_input(tf.constant(IMAGES), 1, "unit", "float16").dtype == tf.float16
