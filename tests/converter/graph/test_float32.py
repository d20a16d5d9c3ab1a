"""A model is rebuilt in float32 only where it computes in another precision."""

import keras
import numpy as np
import pytest
from keras import layers

from converter.errors import ConversionError
from converter.graph.float32 import in_float32


def model(dtype):
    pixels = keras.Input((8, 8, 3))
    x = layers.BatchNormalization(dtype=dtype)(layers.Conv2D(4, 3, dtype=dtype)(pixels))
    return keras.Model(pixels, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def test_a_float32_model_is_returned_itself():
    original = model("float32")
    assert in_float32(original) is original


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_a_mixed_model_is_copied_with_equal_weights(dtype):
    mixed = model(dtype)
    rebuilt = in_float32(mixed)
    assert {layer.compute_dtype for layer in rebuilt.layers} == {"float32"}
    for old, new in zip(mixed.get_weights(), rebuilt.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert "float16" in {layer.compute_dtype.removeprefix("b") for layer in mixed.layers}  # the original is unchanged


def test_a_normalization_of_a_mixed_model_subtracts_and_divides_as_before():
    pixels = keras.Input((2, 2, 3))
    adapted = layers.Normalization(dtype="mixed_bfloat16")
    adapted.adapt(np.arange(24.0).reshape(2, 2, 2, 3))
    given = layers.Normalization(mean=[0.5, 1, 2], variance=[0.25, 4, 1], dtype="mixed_bfloat16")
    rebuilt = in_float32(keras.Model(pixels, given(adapted(pixels))))
    images = np.random.default_rng(0).uniform(0, 255, (2, 2, 2, 3)).astype(np.float32)
    mean, deviation = np.array([10.5, 11.5, 12.5]), np.sqrt(47.25)
    expected = ((images - mean) / deviation - [0.5, 1, 2]) / [0.5, 2, 1]
    np.testing.assert_allclose(rebuilt(images), expected, rtol=1e-5, atol=1e-5)


def test_a_quantised_model_is_refused():
    quantised = model("float32")
    quantised.layers[-1].quantize("int8")
    with pytest.raises(ConversionError, match="is quantised"):
        in_float32(quantised)
