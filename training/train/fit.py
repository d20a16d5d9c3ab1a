"""The fitting itself: the loss, the phases one after the other, and what happens after each epoch."""

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from training.errors import TrainingError
from training.train import curves, networks
from training.train.checkpoint import Checkpoint, Epoch
from training.train.input_pipeline import Images, training_batches, validation_batches
from training.train.recipes import Options, Phase

log = logging.getLogger(__name__)

_OPTIMIZERS = {"adam": keras.optimizers.Adam, "adamax": keras.optimizers.Adamax}
# Liu et al. 2020 (energy-based out-of-distribution detection): scans' energy is pushed below the first, strangers'
# above the second, by a squared hinge of this weight.
_ENERGY_OF_SCANS, _ENERGY_OF_STRANGERS, _ENERGY_WEIGHT = -7.0, -2.0, 0.1


def fit(
    model: keras.Model,
    options: Options,
    scans: Images,
    validation: Images,
    strangers: NDArray[np.uint8] | None,
    checkpoint: Checkpoint,
    folder: Path,
) -> None:
    """Train ``model`` in place, going on from ``checkpoint``; it ends with the weights to keep.

    Args:
        folder: gets ``epochs.csv``, ``curves.png`` and TensorBoard's logs after every epoch.

    Raises:
        CheckpointError: the checkpoint's weights do not fit.
        DivergedError: the loss is no number any more.
    """
    classes = model.output_shape[-1]
    steps = scans.steps(options.batch_size)
    before = 0
    for number, phase in enumerate(options.phases):
        done = [epoch for epoch in checkpoint.history if epoch.phase == phase.name]
        compile_for(model, options, phase, steps)
        later = [epoch for epoch in checkpoint.history if epoch.phase in {p.name for p in options.phases[number + 1 :]}]
        if done and not later:
            checkpoint.restore(model)
            log.info("going on after epoch %d", checkpoint.history[-1].epoch)
        epochs = range(before + len(done), before + phase.epochs)
        before = epochs.stop
        if later or not epochs or _patience_is_over(done, options.patience):
            continue
        log.info("phase %s: epochs %d to %d", phase.name, epochs.start + 1, epochs.stop)
        batches = training_batches(
            scans, strangers, classes, options.batch_size, options.augmentation, options.seed, epochs
        )
        model.fit(
            batches,
            steps_per_epoch=steps,
            validation_data=validation_batches(validation, classes),
            initial_epoch=epochs.start,
            epochs=epochs.stop,
            callbacks=[
                _Epochs(options, phase, checkpoint, folder),
                keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False),
            ],
            shuffle=False,  # they are
            verbose=1 if sys.stdout.isatty() else 2,
        )
    if options.patience is not None:
        checkpoint.restore_best(model)


def compile_for(model: keras.Model, options: Options, phase: Phase, steps: int) -> None:
    """Set what learns in a phase, and how.

    Args:
        steps: of an epoch.
    """
    networks.set_trainable(model, phase.backbone, phase.batch_normalization)
    rate: Any = phase.learning_rate
    if phase.cosine:
        rate = keras.optimizers.schedules.CosineDecay(rate, phase.epochs * steps)
    with model.distribute_strategy.scope():  # the optimizer's and the metric's variables lie on every device, too
        optimizer = _OPTIMIZERS[options.optimizer](rate)
        model.compile(optimizer, loss(options.label_smoothing, options.outliers), metrics=[Accuracy()])


def loss(
    label_smoothing: float = 0.0, outliers: bool = True
) -> Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]:
    """The loss of one-hot targets (zeros for strangers) and logits, both (batch, class): (batch,).

    Cross-entropy of the scans, with ``outliers`` also a margin between scans' and strangers' energy.
    """

    def scans_and_strangers(targets: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        known = ops.sum(targets, -1)
        smooth = targets * (1 - label_smoothing) + known[:, None] * label_smoothing / targets.shape[-1]
        cross_entropy = -ops.sum(smooth * ops.log_softmax(logits), -1)
        if not outliers:
            return cross_entropy
        energy = -ops.logsumexp(logits, -1)
        doubt = known * ops.relu(energy - _ENERGY_OF_SCANS) ** 2
        sureness = (1 - known) * ops.relu(_ENERGY_OF_STRANGERS - energy) ** 2
        return cross_entropy + _ENERGY_WEIGHT * (doubt + sureness)

    return scans_and_strangers


class DivergedError(TrainingError):
    """The loss became infinite or not a number; the message says what to try."""


class Accuracy(keras.metrics.Mean):
    """The share of right answers among the scans; strangers, whose targets are zeros, do not count."""

    def __init__(self, name: str = "accuracy", **options: Any) -> None:
        super().__init__(name=name, **options)

    def update_state(
        self, targets: keras.KerasTensor, logits: keras.KerasTensor, sample_weight: keras.KerasTensor | None = None
    ) -> None:
        """Count a batch's targets and logits, both (batch, class)."""
        right = ops.equal(ops.argmax(targets, -1), ops.argmax(logits, -1))
        super().update_state(ops.cast(right, "float32"), sample_weight=ops.sum(targets, -1))


class _Epochs(keras.callbacks.Callback):
    """Begins each epoch with seeds of its own, and ends it with a checkpoint and the question whether to go on."""

    def __init__(self, options: Options, phase: Phase, checkpoint: Checkpoint, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._options = options
        self._phase = phase
        self._checkpoint = checkpoint
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._started = time.monotonic()
        # A seed generator's state is not among a model's saved weights, so it may not matter what it was before.
        for place, layer in enumerate(self.model._flatten_layers()):
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                seeds = np.random.SeedSequence([self._options.seed, epoch, place]).generate_state(2)
                generator.state.assign(seeds)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        figures = logs or {}
        rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))
        if not np.isfinite(figures["loss"]) or not np.isfinite(figures["val_loss"]):
            raise DivergedError(f"the loss is no number after epoch {epoch + 1}: try a lower --learning-rate")
        done = Epoch(
            epoch + 1,
            self._phase.name,
            rate,
            figures["loss"],
            figures["accuracy"],
            figures["val_loss"],
            figures["val_accuracy"],
            round(time.monotonic() - self._started, 3),
        )
        self._checkpoint.add(self.model, done)
        curves.write(self._checkpoint.history, self._folder)
        of_phase = [each for each in self._checkpoint.history if each.phase == self._phase.name]
        if _patience_is_over(of_phase, self._options.patience):
            log.info("no better validation loss for %d epochs: the phase ends", self._options.patience)
            self.model.stop_training = True


def _patience_is_over(done: list[Epoch], patience: int | None) -> bool:
    """Whether the best of these epochs lies ``patience`` epochs back."""
    if patience is None or not done:
        return False
    best = min(done, key=lambda epoch: epoch.validation_loss)
    return done[-1].epoch - best.epoch >= patience
