"""Images in memory to batches: the seed, the epoch and the step alone decide order, augmentation and OOD samples.

So an interrupted run continues with the batches it would have had. The images come from ``training.data``, which calls
the gateway's own preprocessing.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.train.recipes import Augmentation

OOD_SAMPLES_PER_SCAN = 0.125  # out-of-distribution samples in a batch, for each scan
PREDICTION_BATCH = 64  # images


@dataclass(frozen=True)
class Images:
    """The images of one part of the data.

    Attributes:
        pixels: uint8 (n, side, side, 3).
        labels: int64 (n,).
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def steps(self, batch_size: int) -> int:
        """The number of batches in an epoch; the last one may be smaller."""
        return math.ceil(len(self.labels) / batch_size)


def training_batches(
    scans: Images,
    ood_samples: NDArray[np.uint8] | None,
    classes: int,
    batch_size: int,
    augmentation: Augmentation,
    seed: int,
    epochs: range,
) -> tf.data.Dataset:
    """Shuffled, augmented batches of all ``epochs``, one epoch after the other.

    A batch is pixels uint8 (batch, side, side, 3) and targets float32 (batch, classes): one-hot for scans, zeros for
    the out-of-distribution samples among them, of which there are OOD_SAMPLES_PER_SCAN for each scan.

    Args:
        scans: The images to learn from.
        ood_samples: uint8 (m, side, side, 3), from which each batch draws; None for batches of scans alone.
        classes: Number of classes.
        batch_size: Scans in a batch.
        augmentation: How the images are changed.
        seed: The same seed gives the same batches.
        epochs: Which epochs, counted from 0.
    """
    side = scans.pixels.shape[1]
    targets = tf.one_hot(scans.labels, classes)

    def batch(epoch: tf.Tensor, step: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        seeds = tf.random.experimental.stateless_fold_in(tf.stack([tf.cast(seed, tf.int64), epoch]), step)
        pixels, batch_targets = _rows(scans.pixels, indices), tf.gather(targets, indices)
        if ood_samples is not None:
            share = OOD_SAMPLES_PER_SCAN * tf.cast(tf.size(indices), tf.float32)
            count = tf.maximum(1, tf.cast(tf.round(share), tf.int32))
            drawn = tf.random.stateless_uniform([count], seeds, maxval=len(ood_samples), dtype=tf.int64)
            pixels = tf.concat([pixels, _rows(ood_samples, drawn)], 0)
            batch_targets = tf.concat([batch_targets, tf.zeros([count, classes])], 0)
        pixels = augment(pixels, augmentation, seeds)
        return tf.ensure_shape(pixels, (None, side, side, 3)), batch_targets

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(scans.labels), dtype=tf.int64), tf.stack([tf.cast(seed, tf.int64), epoch])
        )
        steps = tf.data.Dataset.from_tensor_slices(order).batch(batch_size).enumerate()
        return steps.map(lambda step, indices: batch(epoch, step, indices), tf.data.AUTOTUNE, deterministic=True)

    batches = tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(epoch_batches)
    return _unsharded(batches.prefetch(2))


def validation_batches(scans: Images, classes: int) -> tf.data.Dataset:
    """Every image once, in order and unchanged, with its one-hot target."""
    side = scans.pixels.shape[1]
    targets = tf.one_hot(scans.labels, classes)

    def batch(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.ensure_shape(_rows(scans.pixels, indices), (None, side, side, 3)), tf.gather(targets, indices)

    order = tf.data.Dataset.range(len(scans.labels)).batch(PREDICTION_BATCH)
    return _unsharded(order.map(batch, tf.data.AUTOTUNE, deterministic=True).prefetch(2))


def augment(pixels: tf.Tensor, augmentation: Augmentation, seeds: tf.Tensor) -> tf.Tensor:
    """Change each image at random: position, rotation, size, mirroring, brightness and contrast.

    Args:
        pixels: uint8 (batch, side, side, 3); the result has the same shape and dtype.
        augmentation: The largest changes.
        seeds: int64 (2,); the same seeds give the same images.
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
    """Where in the image each output pixel comes from, as transforms around the centre: float32 (batch, 8)."""
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


def _rows(pixels: NDArray[np.uint8], indices: tf.Tensor) -> tf.Tensor:
    """Rows of an array that may be mapped from a file; it is too large to become a constant of the graph."""

    def take(positions: Any) -> NDArray[np.uint8]:
        return pixels[positions]

    rows = tf.numpy_function(take, [indices], tf.uint8, stateful=False)
    return tf.ensure_shape(rows, (None, *pixels.shape[1:]))


def _unsharded(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The same data set, which a distribution strategy does not shard: it splits every batch among the devices."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options)
