"""The networks that can be trained: a small one of our own, and every backbone of keras.applications.

All take pixels 0..255 (their scaling is a layer) and give logits. They end in GlobalAveragePooling, Dropout, Dense:
without a hidden Dense layer class activation maps are exact, because the Dense weights then apply to each position's
features as they apply to the mean.
"""

import difflib
import inspect

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from training.errors import TrainingError
from training.train.recipes import ORIGINAL_HEAD, PLAIN_HEAD

SMALL = "small"
_PIXELS, _SCALE = "pixels", "scale"
_HEAD_LAYERS = {"pool", "dropout", "hidden", "hidden_dropout", "logits"}
_SMALL_SIDE = 128
_DROPOUT = 0.2
# The momentum of BatchNormalization's moving averages in networks that start from random weights. The backbones' own,
# 0.99 to 0.999, are made for a hundred times as many steps: before that the averages lag behind the weights, and the
# validation accuracy is at chance.
_MOMENTUM = 0.9
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


class NetworkError(TrainingError):
    """A network that cannot be built; the message says what to change."""


def names() -> list[str]:
    """The names that ``build`` knows."""
    return [SMALL, *(name for name, member in inspect.getmembers(keras.applications) if inspect.isfunction(member))]


def check(name: str, weights: str | None = None) -> None:
    """Make sure that a network and its weights exist.

    Raises:
        NetworkError: ``name`` is not one of ``names()``, or has no such weights.
    """
    if name not in names():
        close = difflib.get_close_matches(name, names(), 3, 0.3)
        raise NetworkError(f"there is no model {name}; did you mean {' or '.join(close or ['small'])}?")
    if name == SMALL and weights:
        raise NetworkError("small has no pretrained weights: use --weights none, or a backbone")


def default_side(name: str) -> int:
    """The side of the images that a network is made for, in pixels."""
    return _SMALL_SIDE if name == SMALL else _SIDES.get(name, 224)


def build(
    name: str, side: int, classes: int, weights: str | None = None, head: str = PLAIN_HEAD, precision: str = "float32"
) -> keras.Model:
    """A network from pixels float32 (batch, side, side, 3), 0..255, to logits float32 (batch, classes).

    Args:
        name: One of ``names()``.
        side: Height and width of the images, in pixels.
        classes: Number of classes.
        weights: "imagenet" fetches pretrained weights for the backbone; None starts from random ones.
        head: PLAIN_HEAD, or ORIGINAL_HEAD with a hidden layer, for which no activation map is exact.
        precision: Dtype policy of the layers, "float32" or a mixed one; the logits are always float32.

    Raises:
        NetworkError: There is no such network, it cannot take this size, or its weights cannot be fetched or loaded.
    """
    check(name, weights)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        pixels = keras.Input((side, side, 3), name=_PIXELS)
        features = _small(pixels) if name == SMALL else _backbone(name, pixels, weights)
        model = keras.Model(pixels, _HEADS[head](features, classes), name=name)
    finally:
        keras.config.set_dtype_policy(policy)
    if weights is None:
        for layer in model.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.momentum = min(layer.momentum, _MOMENTUM)
    return model


def set_trainable(model: keras.Model, backbone: bool, batch_normalization: bool) -> None:
    """Set which layers learn.

    A BatchNormalization that does not learn uses its moving averages (Keras' rule), so a pretrained backbone's
    statistics survive fine-tuning.

    Args:
        model: A network of ``build``; its head always learns, its scaling never.
        backbone: Whether the backbone learns.
        batch_normalization: Whether a learning backbone's BatchNormalization learns.
    """
    for layer in model.layers:
        if layer.name in _HEAD_LAYERS:
            layer.trainable = True
        elif layer.name == _SCALE:
            layer.trainable = False
        else:
            layer.trainable = backbone and (batch_normalization or not isinstance(layer, layers.BatchNormalization))


def fast_precision() -> str:
    """Half precision if every GPU has tensor cores (compute capability 7 or more; NVIDIA's Volta), else float32."""
    devices = tf.config.list_physical_devices("GPU")
    capabilities = [
        tf.config.experimental.get_device_details(device).get("compute_capability", (0, 0)) for device in devices
    ]
    return "mixed_float16" if capabilities and min(capabilities) >= (7, 0) else "float32"


def _plain_head(features: keras.KerasTensor, classes: int) -> keras.KerasTensor:
    pooled = layers.GlobalAveragePooling2D(name="pool")(features)
    return layers.Dense(classes, dtype="float32", name="logits")(layers.Dropout(_DROPOUT, name="dropout")(pooled))


def _original_head(features: keras.KerasTensor, classes: int) -> keras.KerasTensor:
    """The head of the notebooks that report 98.9 % on this data set with Xception."""
    x = layers.GlobalMaxPooling2D(name="pool")(features)
    x = layers.Dense(128, "relu", name="hidden")(layers.Dropout(0.3, name="dropout")(x))
    return layers.Dense(classes, dtype="float32", name="logits")(layers.Dropout(0.25, name="hidden_dropout")(x))


_HEADS = {PLAIN_HEAD: _plain_head, ORIGINAL_HEAD: _original_head}


def _small(pixels: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.Rescaling(1 / 127.5, -1, name=_SCALE)(pixels)
    for filters, stride in _SMALL_CONVOLUTIONS:
        x = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
    return x


def _backbone(name: str, pixels: keras.KerasTensor, weights: str | None) -> keras.KerasTensor:
    application = getattr(keras.applications, name)
    scaling = scaled(name, pixels)
    try:
        if not (weights and _is_caffe(name)):
            return application(include_top=False, weights=weights, input_tensor=scaling).output
        # Keras assigns pretrained weights to layers by their order, which a scaling layer with weights would shift.
        pretrained = application(include_top=False, weights=weights, input_shape=pixels.shape[1:])
        base = application(include_top=False, weights=None, input_tensor=scaling)
        base.set_weights([*base.get_layer(_SCALE).get_weights(), *pretrained.get_weights()])
        return base.output
    except ValueError as error:
        raise NetworkError(f"{name} cannot be built: {error}") from error
    except OSError as error:  # h5py raises it for half a file
        raise NetworkError(
            f"cannot load the weights of {name} ({error}): remove their file from $KERAS_HOME/models "
            "(~/.keras/models), or use --weights none"
        ) from error
    except Exception as error:  # Keras raises no narrower one for a failed download
        raise NetworkError(f"cannot fetch the weights of {name} ({error}); --weights none needs none") from error


def scaled(name: str, pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Pixels 0..255 scaled as the backbone expects them, by stock layers (keras.applications' preprocess_input)."""
    if name in _TF:
        return layers.Rescaling(1 / 127.5, -1, name=_SCALE)(pixels)
    if name.startswith("DenseNet"):
        variance = [deviation**2 for deviation in _IMAGENET_DEVIATION]
        return layers.Normalization(mean=_IMAGENET_MEAN, variance=variance, name=_SCALE)(pixels)
    if _is_caffe(name):  # RGB to BGR, minus the mean: a 1x1 convolution that never learns
        scale = layers.Conv2D(3, 1, trainable=False, name=_SCALE)
        scale.build((None, None, None, 3))
        scale.set_weights([np.eye(3)[None, None, ::-1], -np.array(_CAFFE_MEAN)])
        return scale(pixels)
    return pixels


def _is_caffe(name: str) -> bool:
    return name.startswith(("ResNet", "VGG")) and name not in _TF
