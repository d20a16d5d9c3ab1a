"""Small SavedModels, written by TensorFlow as the converter writes its own: a plain graph, signatures on purpose."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
SIZE = 24  # pixels a side of the images
CLASSES = 4
CARD = '{"class_names": ["a", "b", "c", "d"]}'


def signature(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
    """A SignatureDef for Predict of tensors by alias."""
    proto = v1.saved_model.build_signature_def(method_name="tensorflow/serving/predict")
    for infos, tensors in ((proto.inputs, inputs), (proto.outputs, outputs)):
        for alias, tensor in tensors.items():
            infos[alias].name = tensor.name
            infos[alias].dtype = tensor.dtype.as_datatype_enum
            infos[alias].tensor_shape.CopyFrom(tensor.shape.as_proto())
    return proto


def save(folder: Path, build: Callable[[], Mapping[str, Any]]) -> Path:
    """Save the graph that ``build`` makes, with the signatures that it returns."""
    with tf.Graph().as_default(), v1.Session() as session:
        signatures = build()
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, [tf.saved_model.SERVING], signatures)
        builder.save()
    return folder


def image_model(folder: Path, *, size: int = SIZE, classes: int = CLASSES, card: str = CARD, seed: int = 0) -> Path:
    """A small network of the converter's form, with fixed random weights.

    serving_default: ``images`` uint8 (batch, size, size, 3), guarded, to ``probabilities`` (batch, classes),
    ``out_of_distribution`` (batch,) and ``activation_maps`` (batch, size / 2, size / 2, classes); describe: ``queries``
    (batch,), by default one, to ``card`` (batch,).
    """
    generator = np.random.default_rng(seed)

    def weights(*shape: int, low: float = -0.5, high: float = 0.5) -> Any:
        return tf.constant(generator.uniform(low, high, shape).astype(np.float32))

    def build() -> Mapping[str, Any]:
        images = v1.placeholder(tf.uint8, [None, size, size, 3], name="images")
        guard = v1.assert_equal(tf.shape(images)[1:], [size, size, 3], message="wrong image size")
        with tf.control_dependencies([guard]):
            pixels = tf.cast(tf.identity(images), tf.float32) / 127.5 - 1
        features = tf.nn.conv2d(pixels, weights(3, 3, 3, 8), 2, "SAME")
        features, *_ = v1.nn.fused_batch_norm(
            features,
            weights(8, low=0.5, high=1.5),
            weights(8),
            weights(8),
            weights(8, low=0.5, high=1.5),
            is_training=False,
        )
        features = tf.nn.depthwise_conv2d(tf.nn.relu(features), weights(3, 3, 8, 1), [1, 1, 1, 1], "SAME")
        features = tf.nn.relu(features)
        dense = weights(8, classes, low=-2, high=2)
        logits = tf.reduce_mean(features, [1, 2]) @ dense + weights(classes)
        outputs = {
            "probabilities": tf.nn.softmax(logits / 1.3),
            "out_of_distribution": tf.negative(tf.reduce_logsumexp(logits, axis=1)),
            "activation_maps": tf.einsum("bhwc,ck->bhwk", features, dense),
        }
        queries = v1.placeholder(tf.string, [None], name="queries")
        describe = signature({"queries": queries}, {"card": tf.fill(tf.shape(queries), tf.constant(card))})
        describe.defaults["queries"].CopyFrom(tf.make_tensor_proto([""]))
        return {"serving_default": signature({"images": images}, outputs), "describe": describe}

    return save(folder, build)


def random_images(count: int, size: int = SIZE, seed: int = 0) -> Any:
    """Random images, uint8 (count, size, size, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
