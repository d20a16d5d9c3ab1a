"""The networks that can be trained: a small one of our own, and every backbone of keras.applications.

All take pixels 0..255 (their scaling is a layer), end in GlobalAveragePooling, Dropout, Dense, and give logits. With no
hidden Dense layer a class activation map is exact: the Dense weights apply to the features as they do to their mean.
"""

import difflib
import inspect

import keras
import numpy as np
from keras import layers

SMALL = "small"
_SMALL_SIDE = 128
_DROPOUT = 0.2
# (filters, stride) of the small network's 3x3 convolutions: a stride of 16 in all.
_SMALL_CONVOLUTIONS = ((16, 2), (32, 2), (32, 1), (64, 2), (64, 1), (96, 2), (128, 1))
# What each family expects of its pixels (keras.applications' own names); the families not named scale inside.
_TF = {"Xception", "InceptionV3", "InceptionResNetV2", "MobileNet", "MobileNetV2", "NASNetMobile", "NASNetLarge"}
_TF |= {"ResNet50V2", "ResNet101V2", "ResNet152V2"}
_SIDES = {
    **{"Xception": 299, "InceptionV3": 299, "InceptionResNetV2": 299, "NASNetLarge": 331},
    **{"EfficientNetB1": 240, "EfficientNetB2": 260, "EfficientNetB3": 300, "EfficientNetB4": 380},
    **{"EfficientNetB5": 456, "EfficientNetB6": 528, "EfficientNetB7": 600},
    **{"EfficientNetV2B1": 240, "EfficientNetV2B2": 260, "EfficientNetV2B3": 300},
    **{"EfficientNetV2S": 384, "EfficientNetV2M": 480, "EfficientNetV2L": 480},
}  # pixels, where not 224; source: the default sizes in keras.applications
_IMAGENET_MEAN, _IMAGENET_DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of pixels 0..255, RGB
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # of pixels 0..255, BGR


class NetworkError(Exception):
    """A network that cannot be built as asked; the message says what to change."""


def names() -> list[str]:
    """What ``build`` takes."""
    return [SMALL, *(name for name, member in inspect.getmembers(keras.applications) if inspect.isfunction(member))]


def check(name: str) -> None:
    """Raise NetworkError if ``name`` is not one of ``names()``."""
    if name not in names():
        close = difflib.get_close_matches(name, names(), 3, 0.3)
        raise NetworkError(f"there is no model {name}; did you mean {' or '.join(close or ['small'])}?")


def default_side(name: str) -> int:
    """The picture size a model is made for, pixels."""
    return _SMALL_SIDE if name == SMALL else _SIDES.get(name, 224)


def build(name: str, side: int, classes: int, weights: str | None = None) -> keras.Model:
    """A network from pixels float32 (batch, side, side, 3), 0..255, to logits float32 (batch, classes).

    With ``weights`` ("imagenet") the backbone is frozen and only the head learns.

    Raises:
        NetworkError: no such model, a size it cannot take, or weights that cannot be had.
    """
    check(name)
    pixels = keras.Input((side, side, 3), name="pixels")
    features = _small(pixels) if name == SMALL else _backbone(name, pixels, weights)
    pooled = layers.GlobalAveragePooling2D(name="pool")(features)
    logits = layers.Dense(classes, name="logits")(layers.Dropout(_DROPOUT, name="dropout")(pooled))
    return keras.Model(pixels, logits, name=name)


def _small(pixels: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.Rescaling(1 / 127.5, -1, name="scale")(pixels)
    for filters, stride in _SMALL_CONVOLUTIONS:
        x = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    return x


def _backbone(name: str, pixels: keras.KerasTensor, weights: str | None) -> keras.KerasTensor:
    try:
        base = getattr(keras.applications, name)(include_top=False, weights=weights, input_tensor=scaled(name, pixels))
    except ValueError as error:
        raise NetworkError(f"{name} cannot be built for these pictures: {error}") from error
    except Exception as error:  # Keras raises no narrower one for a failed download
        raise NetworkError(f"cannot fetch the weights of {name} ({error}); --weights none needs none") from error
    if weights:
        base.trainable = False
    return base.output


def scaled(name: str, pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Pixels 0..255 as the backbone was made to see them, by stock layers (keras.applications' preprocess_input)."""
    if name in _TF:
        return layers.Rescaling(1 / 127.5, -1, name="scale")(pixels)
    if name.startswith("DenseNet"):
        variance = [deviation**2 for deviation in _IMAGENET_DEVIATION]
        return layers.Normalization(mean=_IMAGENET_MEAN, variance=variance, name="scale")(pixels)
    if name.startswith(("ResNet", "VGG")):  # RGB to BGR, less the mean: a 1x1 convolution that never learns
        scale = layers.Conv2D(3, 1, trainable=False, name="scale")
        scale.build((None, None, None, 3))
        scale.set_weights([np.eye(3)[None, None, ::-1], -np.array(_CAFFE_MEAN)])
        return scale(pixels)
    return pixels
