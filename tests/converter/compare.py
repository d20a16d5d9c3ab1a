"""The outputs of a published version, by TensorFlow and by OpenVINO, and those of its Keras model."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import openvino
import tensorflow as tf

from brain_tumor.contract import PREDICT_SIGNATURE

TOLERANCE = 1e-4


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def synthetic_images(height: int, width: int, count: int = 6, seed: int = 7) -> Any:
    """uint8 images that the converter does not verify on: noise, then noise on a ramp."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, height, width, 3))
    images[count // 2 :] = images[count // 2 :] * np.linspace(0, 1, width)[:, None]
    return images.astype(np.uint8)


def by_tensorflow(folder: Path, images: Any) -> dict[str, Any]:
    predict = tf.saved_model.load(str(folder)).signatures[PREDICT_SIGNATURE]
    return {name: tensor.numpy() for name, tensor in predict(images=tf.constant(images)).items()}


def by_openvino(folder: Path, images: Any) -> dict[str, Any]:
    core = openvino.Core()
    model = core.compile_model(core.read_model(folder), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = model({"images": images})
    return {output.any_name: results[output] for output in model.outputs}


def by_keras(model: keras.Model, pixels: Any) -> Any:
    return np.asarray(model(np.asarray(pixels, np.float32), training=False))


def softmax(logits: Any) -> Any:
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def energy(logits: Any) -> Any:
    highest = logits.max(-1)
    return -highest - np.log(np.exp(logits - highest[:, None]).sum(-1))
