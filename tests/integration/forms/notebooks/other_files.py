"""Files that are not a whole Keras model, though people take them for one."""

import dataclasses

import tensorflow as tf
from notebooks import plain


def weights_only(paths):
    return dataclasses.replace(plain.cnn(paths), save=lambda model, path: model.save_weights(str(path)))


def checkpoint(paths):
    """``ModelCheckpoint(save_weights_only=True)`` in its folder: an index and the data."""
    return dataclasses.replace(plain.cnn(paths), save=lambda model, path: model.save_weights(str(path / "best")))


def tflite(paths):
    return dataclasses.replace(
        plain.cnn(paths),
        save=lambda model, path: path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert()),
    )


def frozen_graph(paths):
    """One ``GraphDef`` with constants, as TensorFlow 1 is often kept."""
    return dataclasses.replace(plain.cnn(paths), save=_freeze)


def _freeze(model, path):
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    function = tf.function(model).get_concrete_function(tf.TensorSpec(model.inputs[0].shape, tf.float32))
    path.write_bytes(convert_variables_to_constants_v2(function).graph.as_graph_def().SerializeToString())
