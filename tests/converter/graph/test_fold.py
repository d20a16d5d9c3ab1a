"""Folding changes no layer but those that can be folded, and never the numbers."""

import keras
import numpy as np
import pytest
from keras import layers

from converter.graph.fold import fold_batch_norms
from converter.graph.inactive import drop_inactive
from converter.graph.keras_graph import flatten
from tests.converter.small_models import randomise

PIXELS = np.random.default_rng(5).random((2, 16, 18, 3), np.float32)


def check(model, folded):
    graph = drop_inactive(flatten(model, 16, 18))
    result, count = fold_batch_norms(graph)
    assert count == folded
    norms = sum(isinstance(node.operation, layers.BatchNormalization) for node in result.nodes)
    assert norms == sum(isinstance(node.operation, layers.BatchNormalization) for node in graph.nodes) - folded
    (outputs,) = result.run(PIXELS, result.output)
    np.testing.assert_allclose(np.asarray(outputs), np.asarray(model(PIXELS, training=False)), atol=1e-5)


def classified(x):
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
    "shared norm": lambda x: (lambda shared: shared(layers.Conv2D(6, 1)(shared(layers.Conv2D(6, 3)(x)))))(norm()),
}


@pytest.mark.parametrize("layer", FOLDED.values(), ids=FOLDED.keys())
def test_folded(layer):
    pixels = keras.Input((16, 18, 3))
    model = randomise(keras.Model(pixels, classified(layer(pixels))))
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
    check(randomise(keras.Model(pixels, classified(layer(pixels)))), 0)
