"""Layers that do nothing when predicting are removed."""

import keras
from keras import layers

from converter.inactive import drop_inactive
from converter.keras_graph import flatten


def test_noise_and_augmentation_go():
    pixels = keras.Input((16, 18, 3))
    x = layers.RandomZoom(0.5)(layers.RandomFlip()(layers.GaussianNoise(0.9)(pixels)))
    x = layers.SpatialDropout2D(0.5)(layers.Conv2D(4, 3)(x))
    graph = drop_inactive(flatten(keras.Model(pixels, layers.GlobalAveragePooling2D()(layers.ReLU()(x))), 16, 18))
    assert [type(node.operation).__name__ for node in graph.nodes] == ["Conv2D", "ReLU", "GlobalAveragePooling2D"]
