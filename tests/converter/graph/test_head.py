"""Where class activation maps are exact."""

import keras
import pytest
from keras import layers

from converter.errors import ConversionError
from converter.graph.keras_head import has_exact_activation_maps
from converter.read.network import KerasNetwork


def model(head, size=(16, 18)):
    pixels = keras.Input((*size, 3))
    return keras.Model(pixels, head(layers.Conv2D(4, 3)(pixels)))


def plain(x):
    return layers.Dense(3)(layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x)))


def softmax(x):
    return layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))


def hidden(x):
    x = layers.Dense(8, activation="relu")(layers.GlobalAveragePooling2D()(x))
    return layers.Dense(3)(x)


def hidden_without_activation(x):
    return layers.Dense(3)(layers.Dense(8)(layers.GlobalAveragePooling2D()(x)))


def flat(x):
    return layers.Dense(3)(layers.Flatten()(x))


def maximum(x):
    return layers.Dense(3)(layers.GlobalMaxPooling2D()(x))


@pytest.mark.parametrize(
    "head, exact",
    [
        (plain, True),
        (softmax, True),
        (hidden, False),
        (hidden_without_activation, False),
        (flat, False),
        (maximum, False),
    ],
)
def test_only_for_pooling_and_one_dense_layer(head, exact):
    assert has_exact_activation_maps(model(head)) is exact


def test_a_model_for_any_size():
    assert has_exact_activation_maps(model(plain, size=(None, None)))


def test_the_model_is_saved_as_before(tmp_path):
    """The question calls the model's layers anew; nothing of that may stay in the model."""
    asked = model(plain)
    before = asked.to_json()
    assert has_exact_activation_maps(asked)
    assert asked.to_json() == before


def test_a_model_with_another_end_is_an_error():
    with pytest.raises(ConversionError, match="must end in a softmax"):
        has_exact_activation_maps(model(lambda x: layers.Dense(3, activation="sigmoid")(layers.Flatten()(x))))


@pytest.mark.parametrize(
    "before, scales",
    [
        (layers.Identity(), False),
        (layers.ZeroPadding2D(), False),
        (layers.BatchNormalization(), False),
        (layers.SeparableConv2D(3, 3), False),
        (layers.SpectralNormalization(layers.Conv2D(3, 3)), False),
        (layers.Rescaling(1 / 255), True),
        (layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 2.0, 3.0]), True),
        (lambda pixels: pixels / 127.5 - 1, True),
        (lambda pixels: layers.Concatenate()([pixels, pixels]), False),
    ],
)
def test_whether_a_model_scales_inside(before, scales):
    pixels = keras.Input((16, 18, 3))
    built = keras.Model(pixels, softmax(layers.Conv2D(4, 3)(before(pixels))))
    assert KerasNetwork(built, {}).head(16, 18).scales is scales


def test_a_model_without_kernels_says_nothing_about_scaling():
    pixels = keras.Input((16, 18, 3))
    model = keras.Model(pixels, layers.Softmax()(layers.GlobalAveragePooling2D()(pixels)))
    assert KerasNetwork(model, {}).head(16, 18).scales is None
