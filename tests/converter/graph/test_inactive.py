"""Layers that do nothing when predicting are removed."""

import inspect

import keras
import numpy as np
import pytest
from keras import layers

from converter.graph.inactive import INACTIVE, drop_inactive
from converter.graph.keras_graph import flatten


@pytest.mark.parametrize("name", sorted(INACTIVE))
def test_each_returns_what_it_is_given(name):
    """As Keras' own code says: a layer that did something would change predictions if it were removed."""
    kind = getattr(layers, name)
    required = [value for value in inspect.signature(kind).parameters.values() if value.default is value.empty]
    layer = kind(*(4 if value.name == "factor" and "Poster" in name else 0.5 for value in required if value.kind < 2))
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 16, 18, 3)).astype(np.float32)
    training = {"training": False} if "training" in inspect.signature(layer.call).parameters else {}
    np.testing.assert_array_equal(layer(pixels, **training), pixels)


def test_noise_and_augmentation_go():
    pixels = keras.Input((16, 18, 3))
    x = layers.RandomZoom(0.5)(layers.RandomFlip()(layers.GaussianNoise(0.9)(pixels)))
    x = layers.SpatialDropout2D(0.5)(layers.Conv2D(4, 3)(x))
    graph = drop_inactive(flatten(keras.Model(pixels, layers.GlobalAveragePooling2D()(layers.ReLU()(x))), 16, 18))
    assert [type(node.operation).__name__ for node in graph.nodes] == ["Conv2D", "ReLU", "GlobalAveragePooling2D"]
