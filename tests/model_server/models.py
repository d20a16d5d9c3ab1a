"""SavedModels for tests of serving: one that is easy to compute by hand, one that is slow, and one that is odd."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from serving_api.messages import PredictionLog
from serving_api.tensors import from_array
from tests.model_server.savedmodels import save, signature, v1


def save_half_plus(folder: Path, number: float) -> None:
    """x float (-1,) to y = x / 2 + number; describe: no input to a text; describe_rows: x to this text for each row."""

    def build() -> Mapping[str, Any]:
        x = v1.placeholder(tf.float32, [None], name="x")
        y = tf.add(x * 0.5, tf.constant(number), name="y")
        card = tf.constant(f"adds {number}")
        return {
            "serving_default": signature({"x": x}, {"y": y}),
            "describe": signature({}, {"card": tf.identity(card)}),
            "describe_rows": signature({"x": x}, {"card": tf.fill(tf.shape(x), card)}),
        }

    save(folder, build)


def save_slow(folder: Path) -> None:
    """x float (-1,) to y = x, by about 70 million floating point operations a row."""

    def build() -> Mapping[str, Any]:
        x = v1.placeholder(tf.float32, [None], name="x")
        identity = tf.constant(np.eye(1024, dtype=np.float32))
        y = tf.tile(x[:, None], [1, 1024])
        for _ in range(32):
            y = tf.nn.relu(tf.linalg.matmul(y, identity))
        return {"serving_default": signature({"x": x}, {"y": y[:, 0]})}

    save(folder, build)


def save_odd(folder: Path) -> None:
    """Signatures that only TensorFlow runs: strings, scalars, defaults, dtypes, failures, a long loop."""

    def build() -> Mapping[str, Any]:
        text = v1.placeholder(tf.string, [None], name="text")
        numbers = v1.placeholder(tf.float32, [None], name="numbers")
        a, b = (v1.placeholder(tf.float32, [None], name=name) for name in "ab")
        whole = v1.placeholder(tf.int32, [None], name="whole")
        steps = v1.placeholder(tf.int32, [None], name="steps")
        _, spun = tf.while_loop(
            lambda step, value: step < steps[0],
            lambda step, value: (step + 1, tf.linalg.matmul(value, value)),
            [tf.constant(0), tf.eye(64)],
        )
        checked = tf.debugging.Assert(tf.reduce_all(a >= 0), ["negative " + "x" * 2000])
        with tf.control_dependencies([checked]):
            roots = tf.sqrt(a)
        pair = signature({"a": a, "b": b}, {"sum": a + b, "difference": a - b})
        defaulted = signature({"a": a, "b": b}, {"sum": a + b})
        half = v1.placeholder(tf.half, [None], name="half")
        bfloat = v1.placeholder(tf.bfloat16, [None], name="bfloat")
        byte = v1.placeholder(tf.uint8, [None], name="byte")
        defaulted.defaults["b"].CopyFrom(tf.make_tensor_proto(np.array([10.0], np.float32)))
        return {
            "serving_default": signature({"text": text}, {"echo": tf.identity(text), "echo_bytes": tf.identity(text)}),
            "scalar": signature({"numbers": numbers}, {"total": tf.reduce_sum(numbers)}),
            "uneven": signature({"numbers": numbers}, {"first": numbers[:1], "same": tf.identity(numbers)}),
            "pair": pair,
            "defaulted": defaulted,
            "whole": signature({"whole": whole}, {"wide": tf.cast(whole, tf.int64), "even": tf.equal(whole % 2, 0)}),
            "slow": signature({"steps": steps}, {"trace": tf.reshape(tf.linalg.trace(spun), [1])}),
            "roots": signature({"a": a}, {"roots": roots}),
            "half": signature({"half": half}, {"half": half * 2, "single": tf.cast(half, tf.float32)}),
            "bfloat": signature({"bfloat": bfloat}, {"single": tf.cast(bfloat, tf.float32)}),
            "complex": signature({"a": a}, {"complex": tf.complex(a, a), "same": tf.identity(a)}),
            "byte": signature({"byte": byte}, {"wide": tf.cast(byte, tf.int32)}),
        }

    save(folder, build)


def write_warmup(version: Path, *records: bytes) -> None:
    """Give a version folder a warmup file, written by TensorFlow itself."""
    file = version / "assets.extra" / "tf_serving_warmup_requests"
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for record in records:
            writer.write(record)


def predict_record(alias: str, array: np.ndarray, *, signature: str = "") -> bytes:
    """A warmup record for Predict."""
    log = PredictionLog()
    log.predict_log.request.model_spec.name = "the name is that of whoever wrote it"
    log.predict_log.request.model_spec.signature_name = signature
    log.predict_log.request.inputs[alias].CopyFrom(from_array(array))
    return log.SerializeToString()
