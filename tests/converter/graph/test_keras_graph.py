"""A Keras model as a graph computes what the model predicts."""

import keras
import numpy as np
import pytest
from keras import layers

from converter.errors import ConversionError
from converter.graph.keras_graph import flatten
from tests.converter.small_models import randomise

PIXELS = np.random.default_rng(5).random((2, 16, 18, 3), np.float32)


def classified(x):
    return layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(layers.ReLU()(x)))


def nested(x):
    inside = keras.Input((None, None, 3))
    block = keras.Sequential([keras.Input((None, None, 4)), layers.BatchNormalization(), layers.ReLU()])
    return keras.Model(inside, block(layers.Conv2D(4, 3)(inside)))(x)


def in_training_mode(x):
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(x), training=True)
    return layers.Dropout(0.5)(x, training=True)


def shared(x):
    convolution = layers.Conv2D(3, 3, padding="same")
    return convolution(layers.Add()([x, convolution(x)]))


@pytest.mark.parametrize("layer", [nested, in_training_mode, shared])
@pytest.mark.parametrize("size", [(16, 18), (None, None)])
def test_a_graph_computes_what_its_model_predicts(layer, size):
    pixels = keras.Input((16, 18, 3))
    model = randomise(keras.Model(pixels, classified(layer(pixels))))
    graph = flatten(model, *size)
    (outputs,) = graph.run(PIXELS, graph.output)
    np.testing.assert_allclose(np.asarray(outputs), np.asarray(model(PIXELS, training=False)), atol=1e-5)


def test_a_subclassed_model_inside_is_refused():
    class Inside(keras.Model):
        def call(self, inputs):
            return inputs

    pixels = keras.Input((16, 18, 3))
    model = keras.Model(pixels, classified(Inside(name="mine")(pixels)))
    with pytest.raises(ConversionError, match="mine is a subclassed model"):
        flatten(model, 16, 18)
