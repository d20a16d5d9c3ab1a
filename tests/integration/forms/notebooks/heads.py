"""Networks with more than one body, or with more than one output."""

import dataclasses

from notebooks import images, plain
from notebooks.notebook import Notebook, described
from notebooks.weights import randomise, spread
from tensorflow import keras
from tensorflow.keras import applications, layers


def average_of_softmaxes(paths):
    pixels = images.by_load_img(paths) / 255
    members = [randomise(_named(plain.network(), f"member_{seed}"), pixels, seed) for seed in range(3)]
    inputs = keras.Input(plain.SHAPE)
    model = keras.Model(inputs, layers.Average()([member(inputs) for member in members]))
    return Notebook(model, pixels, described(images.LOAD_IMG_255))


def _named(model, name):
    model._name = name  # two models of a model must not share a name
    return model


def concatenated_features(paths):
    """The features of two backbones side by side, and one dense layer."""
    pixels = images.by_load_img(paths) / 127.5 - 1
    inputs = keras.Input(plain.SHAPE)
    bases = [
        applications.MobileNet(plain.SHAPE, alpha=0.25, include_top=False, weights=None, pooling="avg"),
        applications.MobileNetV2(plain.SHAPE, alpha=0.35, include_top=False, weights=None, pooling="avg"),
    ]
    features = layers.Concatenate()([base(inputs) for base in bases])
    model = keras.Model(inputs, layers.Dense(4, activation="softmax")(features))
    return Notebook(randomise(model, pixels), pixels, described(images.LOAD_IMG_127))


def two_heads(paths):
    """The tumour's class, and whether it lies on the left."""
    pixels = images.by_load_img(paths) / 255
    inputs = keras.Input(plain.SHAPE)
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    tumour = layers.Dense(4, activation="softmax", name="tumour")
    left = layers.Dense(1, activation="sigmoid", name="left")
    model = randomise(keras.Model(inputs, [left(x), tumour(x)]), pixels)
    spread(model, pixels, tumour)
    description = described(images.LOAD_IMG_255, source={"output": "tumour"})
    return Notebook(model, pixels, description, predict=lambda model, pixels: model.predict(pixels, verbose=0)[1])


def two_heads_unnamed(paths):
    left = two_heads(paths)
    return dataclasses.replace(left, description={**left.description, "source": {}})


def four_sigmoids(paths):
    pixels = images.by_load_img(paths) / 255
    return Notebook(randomise(plain.network(activation="sigmoid"), pixels), pixels, described(images.LOAD_IMG_255))
