"""Models kept as TensorFlow's SavedModel folders."""

import dataclasses

import numpy as np
import tensorflow as tf
from notebooks import bodies, images, plain
from notebooks.notebook import SIDE, Notebook, described


def exported(paths):
    """``model.export``, which Keras recommends for serving."""
    return dataclasses.replace(plain.cnn(paths), save=lambda model, path: model.export(path))


def saved_by_tensorflow(paths):
    return dataclasses.replace(plain.separable(paths), save=lambda model, path: tf.saved_model.save(model, str(path)))


def keras_2_folder(paths):
    """``model.save("folder")``, the default of Keras 2 for years."""
    return dataclasses.replace(plain.cnn(paths), save=lambda model, path: model.save(path, save_format="tf"))


def own_model_folder(paths):
    """A subclass of ``keras.Model``: a SavedModel holds its graph, where other files hold only its class' name."""
    return dataclasses.replace(bodies.own_model(paths), save=lambda model, path: model.save(path, save_format="tf"))


def of_tensorflow_1(paths):
    """A graph and a session, saved by the builder of TensorFlow 1 under names that its author chose."""
    pixels = images.by_load_img(paths, interpolation="bilinear") / 255
    random = np.random.default_rng(0)
    graph = tf.Graph()
    with graph.as_default():
        scans = tf.compat.v1.placeholder(tf.float32, (None, SIDE, SIDE, 3), "scans")
        kernel = tf.compat.v1.get_variable("kernel", initializer=_normal(random, (3, 3, 3, 8)))
        x = tf.nn.relu(tf.nn.conv2d(scans, kernel, 2, "VALID"))
        x = tf.reduce_mean(x, (1, 2))
        weights = tf.compat.v1.get_variable("weights", initializer=_normal(random, (8, 4)) * 60)
        bias = tf.compat.v1.get_variable("bias", (4,), initializer=tf.zeros_initializer())
        logits = tf.add(tf.matmul(x, weights), bias, "logits")
        scores = tf.nn.softmax(logits, name="scores")
        session = tf.compat.v1.Session()
        session.run(tf.compat.v1.global_variables_initializer())
        bias.load(-session.run(logits, {scans: pixels}).mean(0), session)

    def save(_, path):
        with graph.as_default():
            builder = tf.compat.v1.saved_model.Builder(str(path))
            signature = tf.compat.v1.saved_model.predict_signature_def({"scans": scans}, {"scores": scores})
            builder.add_meta_graph_and_variables(
                session, [tf.compat.v1.saved_model.tag_constants.SERVING], {"predict_tumour": signature}
            )
            builder.save()

    description = described(images.LOAD_BILINEAR_255)
    return Notebook(None, pixels, description, save, lambda _, given: session.run(scores, {scans: given}))


def _normal(random, shape):
    return random.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape).astype(np.float32)
