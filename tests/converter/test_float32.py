"""A model is rebuilt in float32 only where it computes in another precision."""

import keras
import numpy as np
import pytest
from keras import layers

from converter.errors import ConversionError
from converter.float32 import in_float32


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


def test_a_quantised_model_is_refused():
    quantised = model("float32")
    quantised.layers[-1].quantize("int8")
    with pytest.raises(ConversionError, match="is quantised"):
        in_float32(quantised)
