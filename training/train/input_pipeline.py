"""Images in memory to batches: order, augmentation and strangers follow from the seed, the epoch and the step alone.

So a run that was interrupted goes on with the batches it would have had. The images themselves come from
``training.data.read``, which calls the gateway's own preprocessing.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.train.recipes import Augmentation

STRANGERS = 0.125  # strangers to a scan
PREDICTION_BATCH = 64


@dataclass(frozen=True)
class Images:
    """One part of the data, read: pixels uint8 (n, side, side, 3), labels int64 (n,)."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def steps(self, batch_size: int) -> int:
        """Batches an epoch; the last one may be smaller."""
        return math.ceil(len(self.labels) / batch_size)


def training_batches(
    scans: Images,
    strangers: NDArray[np.uint8] | None,
    classes: int,
    batch_size: int,
    augmentation: Augmentation,
    seed: int,
    epochs: range,
) -> tf.data.Dataset:
    """Shuffled, augmented batches of all ``epochs``, one after the other.

    A batch is pixels uint8 (batch, side, side, 3) and targets float32 (batch, classes): one-hot for scans, zeros for
    the strangers among them, an eighth as many.

    Args:
        strangers: uint8 (m, side, side, 3), or None for scans alone.
    """
    side = scans.pixels.shape[1]
    targets = tf.one_hot(scans.labels, classes)

    def batch(epoch: tf.Tensor, step: tf.Tensor, chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        seeds = tf.random.experimental.stateless_fold_in(tf.stack([tf.cast(seed, tf.int64), epoch]), step)
        pixels, wanted = _rows(scans.pixels, chosen), tf.gather(targets, chosen)
        if strangers is not None:
            count = tf.maximum(1, tf.cast(tf.round(STRANGERS * tf.cast(tf.size(chosen), tf.float32)), tf.int32))
            drawn = tf.random.stateless_uniform([count], seeds, maxval=len(strangers), dtype=tf.int64)
            pixels = tf.concat([pixels, _rows(strangers, drawn)], 0)
            wanted = tf.concat([wanted, tf.zeros([count, classes])], 0)
        pixels = augment(pixels, augmentation, seeds)
        return tf.ensure_shape(pixels, (None, side, side, 3)), wanted

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(scans.labels), dtype=tf.int64), tf.stack([tf.cast(seed, tf.int64), epoch])
        )
        steps = tf.data.Dataset.from_tensor_slices(order).batch(batch_size).enumerate()
        return steps.map(lambda step, chosen: batch(epoch, step, chosen), tf.data.AUTOTUNE, deterministic=True)

    every = tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(epoch_batches)
    return _unsharded(every.prefetch(2))


def validation_batches(scans: Images, classes: int) -> tf.data.Dataset:
    """Every image once, in order and unchanged, with its one-hot target."""
    side = scans.pixels.shape[1]
    targets = tf.one_hot(scans.labels, classes)

    def batch(chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.ensure_shape(_rows(scans.pixels, chosen), (None, side, side, 3)), tf.gather(targets, chosen)

    order = tf.data.Dataset.range(len(scans.labels)).batch(PREDICTION_BATCH)
    return _unsharded(order.map(batch, tf.data.AUTOTUNE, deterministic=True).prefetch(2))


def augment(pixels: tf.Tensor, augmentation: Augmentation, seeds: tf.Tensor) -> tf.Tensor:
    """Move, turn, mirror and relight each image by its own chance: uint8 (batch, side, side, 3) to the same.

    Args:
        seeds: int64 (2,); the same ones give the same images.
    """
    count, side = tf.shape(pixels)[0], pixels.shape[1]
    draws = tf.random.stateless_uniform([7, count], seeds, -1.0, 1.0)
    grey = tf.cast(pixels, tf.float32)  # rounded once, at the end
    if augmentation.mirror or augmentation.rotation or augmentation.zoom or augmentation.shift:
        grey = tf.raw_ops.ImageProjectiveTransformV3(
            images=grey,
            transforms=_transforms(draws[:5], augmentation, side),
            output_shape=[side, side],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="NEAREST",
        )
    if augmentation.brightness or augmentation.contrast:
        contrast = (1 + augmentation.contrast * draws[5])[:, None, None, None]
        brightness = (1 + augmentation.brightness * draws[6])[:, None, None, None]
        middle = tf.reduce_mean(grey, [1, 2, 3], keepdims=True)
        grey = grey * (contrast * brightness) + middle * (1 - contrast) * brightness
    return tf.cast(tf.clip_by_value(tf.round(grey), 0, 255), tf.uint8)


def _transforms(draws: tf.Tensor, augmentation: Augmentation, side: int) -> tf.Tensor:
    """float32 (batch, 8): where in the image each output pixel comes from, around the image's centre."""
    turn, zoom, right, down, mirror = tf.unstack(draws)
    angle = turn * (augmentation.rotation * math.pi / 180)
    scale = 1 + augmentation.zoom * zoom
    flip = tf.where((mirror < 0) & augmentation.mirror, -1.0, 1.0)
    cosine, sine = scale * tf.cos(angle), scale * tf.sin(angle)
    centre = (side - 1) / 2
    a, b, c, d = flip * cosine, -sine, flip * sine, cosine
    x = centre - a * centre - b * centre + augmentation.shift * side * right
    y = centre - c * centre - d * centre + augmentation.shift * side * down
    nothing = tf.zeros_like(a)
    return tf.stack([a, b, x, c, d, y, nothing, nothing], axis=1)


def _rows(pixels: NDArray[np.uint8], chosen: tf.Tensor) -> tf.Tensor:
    """Rows of an array that may be mapped from a file: too large to become a constant of the graph."""

    def rows(indices: Any) -> NDArray[np.uint8]:
        return pixels[indices]

    taken = tf.numpy_function(rows, [chosen], tf.uint8, stateful=False)
    return tf.ensure_shape(taken, (None, *pixels.shape[1:]))


def _unsharded(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Under a distribution strategy every batch is split among the devices; the data set itself cannot be."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options)
