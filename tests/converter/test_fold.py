"""Folding changes the layers it may and no other, and never the numbers."""

import keras
import numpy as np
import pytest
from keras import layers

from converter.errors import ConversionError
from converter.fold import drop_inactive, fold_batch_norms
from converter.program import flatten
from tests.converter.small_models import randomise

PIXELS = np.random.default_rng(5).random((2, 16, 18, 3), np.float32)


def check(model, folded):
    program = drop_inactive(flatten(model, 16, 18))
    result, count = fold_batch_norms(program)
    assert count == folded
    norms = sum(isinstance(step.run, layers.BatchNormalization) for step in result.steps)
    assert norms == sum(isinstance(step.run, layers.BatchNormalization) for step in program.steps) - folded
    (got,) = result.run(PIXELS, result.output)
    np.testing.assert_allclose(np.asarray(got), np.asarray(model(PIXELS, training=False)), atol=1e-5)


def ending(x):
    return layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(layers.ReLU()(x)))


def norm(**options):
    return layers.BatchNormalization(**options)


FOLDED = {
    "convolution": lambda x: norm()(layers.Conv2D(6, 3, use_bias=False)(x)),
    "with bias": lambda x: norm()(layers.Conv2D(6, 3, padding="same")(x)),
    "strided": lambda x: norm()(layers.Conv2D(6, 3, strides=2, padding="same")(x)),
    "dilated": lambda x: norm()(layers.Conv2D(6, 3, dilation_rate=2)(x)),
    "depthwise": lambda x: norm()(layers.DepthwiseConv2D(3, depth_multiplier=4)(x)),
    "separable": lambda x: norm()(layers.SeparableConv2D(6, 3, depth_multiplier=2)(x)),
    "dense": lambda x: norm()(layers.Dense(6)(x)),
    "no scale": lambda x: norm(scale=False)(layers.Conv2D(6, 3)(x)),
    "no centre": lambda x: norm(center=False)(layers.Conv2D(6, 3)(x)),
    "dropout between": lambda x: norm()(layers.Dropout(0.5)(layers.Conv2D(6, 3)(x))),
    "shared norm": lambda x: (lambda one: one(layers.Conv2D(6, 1)(one(layers.Conv2D(6, 3)(x)))))(norm()),
}


@pytest.mark.parametrize("layer", FOLDED.values(), ids=FOLDED.keys())
def test_folded(layer):
    pixels = keras.Input((16, 18, 3))
    model = randomise(keras.Model(pixels, ending(layer(pixels))))
    check(model, 2 if layer is FOLDED["shared norm"] else 1)


def activated(x):
    return norm()(layers.Conv2D(6, 3, activation="relu")(x))


def two_readers(x):
    x = layers.Conv2D(6, 3)(x)
    return layers.Add()([x, norm()(x)])


def shared_convolution(x):
    convolution = layers.Conv2D(3, 3, padding="same")
    return norm()(convolution(convolution(x)))


def other_axis(x):
    return norm(axis=1)(layers.Conv2D(6, 3)(x))


def first_layer(x):
    return norm()(x)


def transposed(x):
    return norm()(layers.Conv2DTranspose(6, 3)(x))


@pytest.mark.parametrize("layer", [activated, two_readers, shared_convolution, other_axis, first_layer, transposed])
def test_left_alone(layer):
    pixels = keras.Input((16, 18, 3))
    check(randomise(keras.Model(pixels, ending(layer(pixels)))), 0)


def test_noise_and_augmentation_go():
    pixels = keras.Input((16, 18, 3))
    x = layers.RandomZoom(0.5)(layers.RandomFlip()(layers.GaussianNoise(0.9)(pixels)))
    x = layers.SpatialDropout2D(0.5)(layers.Conv2D(4, 3)(x))
    program = drop_inactive(flatten(keras.Model(pixels, ending(x)), 16, 18))
    assert [type(step.run).__name__ for step in program.steps] == ["Conv2D", "ReLU", "GlobalAveragePooling2D", "Dense"]


def test_a_layer_called_in_training_mode_predicts_as_in_keras():
    pixels = keras.Input((16, 18, 3))
    x = layers.Dropout(0.5)(layers.BatchNormalization()(layers.Conv2D(4, 3)(pixels), training=True), training=True)
    check(randomise(keras.Model(pixels, ending(x))), 1)


def test_a_subclassed_model_inside_is_refused():
    class Inside(keras.Model):
        def call(self, inputs):
            return inputs

    pixels = keras.Input((16, 18, 3))
    model = keras.Model(pixels, ending(Inside(name="mine")(pixels)))
    with pytest.raises(ConversionError, match="mine is a subclassed model"):
        flatten(model, 16, 18)
