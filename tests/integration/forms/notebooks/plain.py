"""Networks built from a few layers, in the ways in which people prepare their images."""

import dataclasses

import numpy as np
from notebooks import images
from notebooks.notebook import SIDE, TWO, Notebook, described
from notebooks.weights import randomise
from tensorflow import keras
from tensorflow.keras import layers

SHAPE = (SIDE, SIDE, 3)


def network(shape=SHAPE, classes=4, activation="softmax", first=(), **options):
    """A plain convolutional network; ``first`` stands before its convolutions."""
    return keras.Sequential([keras.Input(shape, **options), *first, *body(classes, activation)])


def body(classes=4, activation="softmax"):
    return [
        layers.Conv2D(8, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(12, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.4),
        layers.Dense(16, activation="relu"),
        layers.Dense(classes, activation=activation, dtype="float32"),
    ]


def cnn(paths):
    """``ImageDataGenerator(rescale=1 / 255)``, and trained: the optimizer's state is in the file, too."""
    pixels = images.by_load_img(paths) / 255
    model = network()
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    model.train_on_batch(pixels, np.eye(4)[np.arange(len(pixels)) % 4])
    return Notebook(randomise(model, pixels), pixels, described(images.LOAD_IMG_255))


def separable(paths):
    pixels = images.by_load_img(paths, interpolation="bilinear") / 255
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.SeparableConv2D(8, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, strides=2),
            layers.LeakyReLU(),
            layers.SeparableConv2D(12, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="softmax"),
        ]
    )
    return Notebook(randomise(model, pixels), pixels, described(images.LOAD_BILINEAR_255))


def one_sigmoid(paths):
    """Two classes, and the probability of the second alone."""
    pixels = images.by_load_img(paths) / 255
    model = randomise(network(classes=1, activation="sigmoid"), pixels)
    description = described(images.LOAD_IMG_255, TWO)
    return Notebook(model, pixels, description, predict=_both_classes)


def _both_classes(model, pixels):
    second = model.predict(pixels, verbose=0)
    return np.concatenate([1 - second, second], -1)


def logits(paths):
    """Scaling inside, and ``from_logits=True`` in the loss."""
    pixels = images.by_load_img(paths)
    model = randomise(network(activation=None, first=[layers.Rescaling(1 / 255)]), pixels)
    return Notebook(model, pixels, described(images.LOAD_IMG), predict=_softmax_of)


def _softmax_of(model, pixels):
    return keras.activations.softmax(model(pixels)).numpy()


def dataset(paths):
    return _of_dataset(images.by_image_dataset(paths), images.DATASET, images.as_served(paths, "dataset"))


def padded(paths):
    pixels = images.by_image_dataset(paths, pad_to_aspect_ratio=True)
    return _of_dataset(pixels, images.DATASET_PADDED, images.as_served(paths, "padded"))


def _of_dataset(pixels, way, served):
    model = randomise(network(first=[layers.Rescaling(1 / 255)]), pixels)
    return Notebook(model, pixels, described(way), without=model.predict(served, verbose=0))


def fixed_batch(paths):
    """A ``Sequential`` without an input, built by its first batch: this batch's size is in the file."""
    pixels = images.by_load_img(paths) / 255
    model = keras.Sequential(body())
    model(pixels)
    randomise(model, pixels)
    return Notebook(model, pixels, described(images.LOAD_IMG_255))


def grey(paths):
    pixels = images.by_load_img(paths, color_mode="grayscale") / 255
    description = described(images.LOAD_GREY_255)
    return Notebook(randomise(network((SIDE, SIDE, 1)), pixels), pixels, description)


def by_cv2(paths):
    return _scaled(images.by_cv2(paths), images.CV2_255)


def cropped(paths):
    return _scaled(images.cropped_to_head(paths), images.CV2_CROPPED_255)


def bone_colours(paths):
    """No field of the description says it; this is the nearest that an author can write."""
    left = _scaled(images.in_bone_colours(paths), images.BONE_255)
    return dataclasses.replace(left, without=left.predict(left.model, images.as_served(paths, "cv2") / 255))


def _scaled(pixels, way):
    pixels = pixels / 255
    return Notebook(randomise(network(), pixels), pixels, described(way))


def half_precision(paths):
    """``mixed_float16``."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        left = cnn(paths)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    same = network()
    same.set_weights(left.model.get_weights())
    return dataclasses.replace(left, without=same.predict(left.pixels, verbose=0))
