"""One training run: batches of scans with some strangers among them, the loss, and the learning rate."""

import math

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from training.outliers import training_outliers

_STRANGERS = 0.125  # strangers to a scan
_STRANGER_POOL = 2000
# Liu et al. 2020 (energy-based out-of-distribution detection): scans' energy is pushed below the first, strangers'
# above the second, by a squared hinge of this weight.
_ENERGY_OF_SCANS, _ENERGY_OF_STRANGERS, _ENERGY_WEIGHT = -7.0, -2.0, 0.1


class Batches(keras.utils.PyDataset):
    """Shuffled batches of scans and strangers, mirrored left to right at random.

    A batch is pixels uint8 (batch, height, width, 3) and targets float32 (batch, class): one-hot for scans, zeros for
    strangers.
    """

    def __init__(
        self, pixels: NDArray[np.uint8], labels: NDArray[np.int64], classes: int, batch_size: int, seed: int
    ) -> None:
        super().__init__()
        self._rng = np.random.default_rng(seed)
        self._pixels = pixels
        self._targets = np.eye(classes, dtype=np.float32)[labels]
        self._batch_size = batch_size
        count = min(_STRANGER_POOL, max(1, len(pixels)))
        self._strangers = training_outliers(pixels, count, self._rng)
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self._pixels) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        chosen = np.sort(self._order[index * self._batch_size : (index + 1) * self._batch_size])
        strangers = self._rng.choice(len(self._strangers), max(1, round(_STRANGERS * len(chosen))))
        pixels = np.concatenate([self._pixels[chosen], self._strangers[strangers]])
        mirrored = self._rng.random(len(pixels)) < 0.5
        pixels[mirrored] = pixels[mirrored, :, ::-1]
        targets = np.zeros((len(pixels), self._targets.shape[1]), np.float32)
        targets[: len(chosen)] = self._targets[chosen]
        return pixels, targets

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch."""
        self._order = self._rng.permutation(len(self._pixels))


def loss(targets: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
    """Cross-entropy of the scans, and a margin between scans' and strangers' energy: (batch,)."""
    known = ops.sum(targets, -1)
    energy = -ops.logsumexp(logits, -1)
    doubt = known * ops.relu(energy - _ENERGY_OF_SCANS) ** 2
    sureness = (1 - known) * ops.relu(_ENERGY_OF_STRANGERS - energy) ** 2
    return -ops.sum(targets * ops.log_softmax(logits), -1) + _ENERGY_WEIGHT * (doubt + sureness)


def accuracy(targets: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
    """Share of right answers among a batch's scans: ()."""
    known = ops.sum(targets, -1)
    right = ops.cast(ops.equal(ops.argmax(targets, -1), ops.argmax(logits, -1)), "float32")
    return ops.sum(known * right) / ops.sum(known)


def fit(model: keras.Model, train: Batches, validation: Batches, epochs: int, learning_rate: float) -> None:
    """Train ``model`` in place, the learning rate falling to 0 along a cosine."""
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(train))
    model.compile(keras.optimizers.Adam(schedule), loss, metrics=[accuracy])
    model.fit(train, validation_data=validation, epochs=epochs)
