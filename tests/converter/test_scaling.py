"""Which scaling stands before a model's first convolution."""

import keras
import numpy as np
import pytest
from keras import layers

from brain_tumor.metadata import SCALINGS
from converter.keras_graph import flatten
from converter.scaling import is_unscaled, scaler, with_scaling


def graph(before=lambda x: x):
    pixels = keras.Input((12, 14, 3))
    x = layers.Conv2D(4, 3)(before(pixels))
    return flatten(keras.Model(pixels, layers.Dense(2)(layers.GlobalAveragePooling2D()(x))), 12, 14)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_scaling_is_put_before_the_graph(scaling):
    scaled = graph()
    pixels = np.random.default_rng(3).integers(0, 256, (2, 12, 14, 3)).astype(np.float32)
    whole = with_scaling(scaled, scaling)
    (expected,) = scaled.run(scaler(scaling)(keras.ops.convert_to_tensor(pixels)), scaled.output)
    (outputs,) = whole.run(keras.ops.convert_to_tensor(pixels), whole.output)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    assert is_unscaled(whole) is (scaling == "none")


def test_padding_is_no_scaling():
    assert is_unscaled(graph(layers.ZeroPadding2D()))
    assert not is_unscaled(graph(lambda x: layers.ZeroPadding2D()(layers.Rescaling(1 / 255)(x))))


def test_a_model_without_a_convolution_is_taken_to_scale_by_itself():
    pixels = keras.Input((4, 4, 3))
    model = keras.Model(pixels, layers.Dense(2)(layers.Flatten()(pixels)))
    assert not is_unscaled(flatten(model, 4, 4))
