"""Networks around a backbone of ``keras.applications``."""

import sys
from unittest import mock

import numpy as np
from notebooks import images
from notebooks.notebook import SIDE, Notebook, described
from notebooks.weights import randomise
from tensorflow import keras
from tensorflow.keras import applications, layers

SHAPE = (SIDE, SIDE, 3)
_MEAN, _VARIANCE = (0.485, 0.456, 0.406), (0.229**2, 0.224**2, 0.225**2)  # of ImageNet's images


def started_from(paths, side=71):
    """The network that this project started from; 71 pixels are the least that Xception takes."""
    pixels = applications.xception.preprocess_input(images.by_load_img(paths, (side, side)))
    base = applications.Xception(include_top=False, weights=None, input_shape=(side, side, 3), pooling="max")
    model = keras.Sequential(
        [
            base,
            layers.Flatten(),
            layers.Dropout(rate=0.3),
            layers.Dense(128, activation="relu"),
            layers.Dropout(rate=0.25),
            layers.Dense(4, activation="softmax"),
        ]
    )
    model.build((None, side, side, 3))
    description = described(images.LOAD_IMG_XCEPTION)
    return Notebook(randomise(model, pixels), pixels, description)


def started_from_at_full_size(paths):
    return started_from(paths, side=299)


def preprocess_input_inside(paths):
    """A functional model that calls ``preprocess_input`` on its input, which older Keras keeps as operations."""
    pixels = images.by_load_img(paths)
    inputs = keras.Input(SHAPE)
    base = applications.MobileNetV2(SHAPE, alpha=0.35, include_top=False, weights=None)
    x = base(applications.mobilenet_v2.preprocess_input(inputs), training=False)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, layers.Dense(4, activation="softmax")(x))
    return Notebook(randomise(model, pixels), pixels, described(images.LOAD_IMG))


def transfer(paths):
    pixels = images.by_load_img(paths, interpolation="bilinear") / 255
    base = applications.MobileNet(SHAPE, alpha=0.25, include_top=False, weights=None)
    model = keras.Sequential([base, layers.GlobalAveragePooling2D(), layers.Dense(4, activation="softmax")])
    model.build((None, *SHAPE))
    return Notebook(randomise(model, pixels), pixels, described(images.LOAD_BILINEAR_255))


def efficientnet(paths):
    """EfficientNetB0 as ``weights="imagenet"`` builds it; only the values of its weights are others."""
    pixels = images.by_load_img(paths)
    base = _as_imagenet_builds_it(applications.EfficientNetB0, input_shape=SHAPE)
    x = layers.GlobalAveragePooling2D()(base.output)
    model = keras.Model(base.input, layers.Dense(4, activation="softmax")(layers.Dropout(0.3)(x)))
    return Notebook(randomise(model, pixels), pixels, described(images.LOAD_IMG))


def _as_imagenet_builds_it(application, **options):
    """Build a network with the layers that come with ImageNet's weights, without fetching the weights.

    With ``weights="imagenet"`` EfficientNets get one layer more and a Normalization with ImageNet's statistics.
    """
    module = sys.modules[application.__module__]
    downloads = getattr(module, "file_utils", None) or module.data_utils  # Keras 3 and Keras 2
    with mock.patch.object(downloads, "get_file"), mock.patch.object(keras.Model, "load_weights"):
        model = application(include_top=False, weights="imagenet", **options)
    (normalization,) = (layer for layer in model.layers if isinstance(layer, layers.Normalization))
    normalization.set_weights([np.array(values) for values in (_MEAN, _VARIANCE, 0)])
    normalization.finalize_state()
    return model
