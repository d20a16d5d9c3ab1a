"""Small Keras models with random weights and clear predictions, and the files that training writes for a model."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from converter.convert import Job, convert

CLASS_NAMES = ("glioma", "meningioma", "notumor", "pituitary")
SIZE = (32, 40)  # height, width: different, so that nothing can mix them up


def build_keras(class_names: tuple[str, ...] = CLASS_NAMES, size: tuple[int, int] = SIZE, seed: int = 0) -> keras.Model:
    """A model as our training makes them: pixels 0..255 in, scaling inside, pooling and one dense layer at the end."""
    pixels = keras.Input((*size, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    x = layers.Conv2D(8, 3, strides=2, use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.SeparableConv2D(12, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    return randomise(keras.Model(pixels, classifier(x, len(class_names))), seed)


def classifier(features: Any, classes: int) -> Any:
    """Global average pooling, dropout, softmax."""
    x = layers.GlobalAveragePooling2D()(features)
    x = layers.Dropout(0.5)(x)
    return layers.Dense(classes, activation="softmax", dtype="float32")(x)


def randomise(model: keras.Model, seed: int = 0) -> keras.Model:
    """Give every weight a value, batch normalization's statistics too, and spread the predictions over the classes.

    With Keras' own random weights, batch normalization has no effect, and a deep model's predictions are all the same.
    """
    random = np.random.default_rng(seed)
    for weight in model.weights:
        shape, kind = tuple(weight.shape), weight.path.rsplit("/", 1)[-1]
        if "kernel" in kind:
            fan_in = np.prod(shape[:2] if kind == "depthwise_kernel" else shape[:-1])
            weight.assign(random.standard_normal(shape, np.float32) * np.sqrt(2 / fan_in, dtype=np.float32))
        elif kind in ("gamma", "moving_variance"):
            weight.assign(random.uniform(0.7, 1.3, shape))
        elif kind in ("beta", "moving_mean", "bias"):
            weight.assign(random.normal(0, 0.1, shape))
    _spread(model, random)
    return model


def _spread(model: keras.Model, random: np.random.Generator) -> None:
    height, width = (side or 64 for side in model.input_shape[1:3])
    images = random.integers(0, 256, (4, height, width, model.input_shape[-1])).astype(np.float32)
    images[2:] *= np.linspace(0, 1, width)[:, None]
    dense = next(layer for layer in reversed(model.layers) if isinstance(layer, layers.Dense))
    activation, dense.activation = dense.activation, keras.activations.linear
    logits = np.asarray(model(images, training=False), np.float64)
    dense.activation = activation
    if logits.shape[-1] > 1:
        logits -= logits.mean(-1, keepdims=True)
    centre, spread = logits.mean(0), logits.std(0).mean()
    factor = 1.5 / spread
    dense.kernel.assign(dense.kernel * factor)
    if dense.use_bias:
        dense.bias.assign(dense.bias * factor - factor * centre)


def write(folder: Path, model: keras.Model | None = None, stem: str = "model", **metadata: Any) -> Path:
    """Write ``stem``.keras, and ``stem``.json with these metadata fields, as training does; the path of the model."""
    model = model or build_keras(tuple(metadata.get("class_names", CLASS_NAMES)))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.keras"
    model.save(path)
    path.with_suffix(".json").write_text(json.dumps({"class_names": CLASS_NAMES, "scaling": "none"} | metadata))
    return path


def publish(
    models: Path, model: keras.Model | None = None, version: int = 1, name: str = "brain-tumor", **metadata: Any
) -> Path:
    """Convert a small model into a models folder, as a served version; the version's folder."""
    source = write(models.parent / f"{models.name}-source", model, f"{name}-{version}", **metadata)
    job = Job(source, source.with_suffix(".json"), models, name, version)
    convert(job)
    return job.target
