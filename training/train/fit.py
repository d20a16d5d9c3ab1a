"""The fitting: the loss, the phases one after the other, and what happens after each epoch."""

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
from training.train.options import Configuration
from training.train.recipes import Phase

log = logging.getLogger(__name__)

_OPTIMIZERS = {"adam": keras.optimizers.Adam, "adamax": keras.optimizers.Adamax}
# Liu et al. 2020 (energy-based out-of-distribution detection): a squared hinge of this weight pushes the energy of
# scans below the first value, and that of OOD samples above the second.
_IN_DISTRIBUTION_ENERGY, _OOD_ENERGY, _ENERGY_WEIGHT = -7.0, -2.0, 0.1


def fit(
    model: keras.Model,
    configuration: Configuration,
    scans: Images,
    validation: Images,
    ood_samples: NDArray[np.uint8] | None,
    checkpoint: Checkpoint,
    folder: Path,
) -> None:
    """Train ``model`` in place, from where ``checkpoint`` stands; afterwards it has the weights to keep.

    Args:
        model: The network.
        configuration: How it is trained.
        scans: The images to learn from.
        validation: The images to validate on.
        ood_samples: uint8 (n, side, side, 3); None trains on scans alone.
        checkpoint: Gets the state after every epoch.
        folder: Gets ``epochs.csv``, ``curves.png`` and TensorBoard's logs after every epoch.

    Raises:
        CheckpointError: The checkpoint's weights do not fit.
        DivergedError: The loss is no longer a number.
    """
    classes = model.output_shape[-1]
    steps = scans.steps(configuration.batch_size)
    before = 0
    for number, phase in enumerate(configuration.phases):
        done = [epoch for epoch in checkpoint.history if epoch.phase == phase.name]
        compile_for(model, configuration, phase, steps)
        later_phases = {later_phase.name for later_phase in configuration.phases[number + 1 :]}
        later = any(epoch.phase in later_phases for epoch in checkpoint.history)
        if done and not later:
            checkpoint.restore(model)
            log.info("going on after epoch %d", checkpoint.history[-1].epoch)
        epochs = range(before + len(done), before + phase.epochs)
        before = epochs.stop
        if later or not epochs or _patience_is_over(done, configuration.patience):
            continue
        log.info("phase %s: epochs %d to %d", phase.name, epochs.start + 1, epochs.stop)
        batches = training_batches(
            scans,
            ood_samples,
            classes,
            configuration.batch_size,
            configuration.augmentation,
            configuration.seed,
            epochs,
        )
        model.fit(
            batches,
            steps_per_epoch=steps,
            validation_data=validation_batches(validation, classes),
            initial_epoch=epochs.start,
            epochs=epochs.stop,
            callbacks=[
                _EpochCallback(configuration, phase, checkpoint, folder),
                keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False),
            ],
            shuffle=False,  # the batches are shuffled already
            verbose=1 if sys.stdout.isatty() else 2,
        )
    if configuration.patience is not None:
        checkpoint.restore_best(model)


def compile_for(model: keras.Model, configuration: Configuration, phase: Phase, steps: int) -> None:
    """Set which layers learn in a phase, and how.

    Args:
        model: The network.
        configuration: How it is trained.
        phase: One of the configuration's phases.
        steps: Number of steps in an epoch.
    """
    networks.set_trainable(model, phase.backbone, phase.batch_normalization)
    rate: Any = phase.learning_rate
    if phase.cosine:
        rate = keras.optimizers.schedules.CosineDecay(rate, phase.epochs * steps)
    with model.distribute_strategy.scope():  # every device needs the variables of the optimizer and the metric
        optimizer = _OPTIMIZERS[configuration.optimizer](rate)
        loss_function = loss(configuration.label_smoothing, configuration.ood_samples)
        model.compile(optimizer, loss_function, metrics=[Accuracy()])


def loss(
    label_smoothing: float = 0.0, ood_samples: bool = True
) -> Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]:
    """The loss of one-hot targets (zeros for OOD samples) and logits, both (batch, class): (batch,).

    Args:
        label_smoothing: Share of a target that is spread over all classes.
        ood_samples: Whether the margin between the energy of scans and that of OOD samples is added to the
            cross-entropy of the scans.
    """

    def total_loss(targets: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        in_distribution = ops.sum(targets, -1)
        smooth = targets * (1 - label_smoothing) + in_distribution[:, None] * label_smoothing / targets.shape[-1]
        cross_entropy = -ops.sum(smooth * ops.log_softmax(logits), -1)
        if not ood_samples:
            return cross_entropy
        energy = -ops.logsumexp(logits, -1)
        in_distribution_loss = in_distribution * ops.relu(energy - _IN_DISTRIBUTION_ENERGY) ** 2
        ood_loss = (1 - in_distribution) * ops.relu(_OOD_ENERGY - energy) ** 2
        return cross_entropy + _ENERGY_WEIGHT * (in_distribution_loss + ood_loss)

    return total_loss


class DivergedError(TrainingError):
    """The loss became infinite or NaN; the message says what to try."""


class Accuracy(keras.metrics.Mean):
    """The share of correct predictions among the scans; OOD samples, whose targets are zeros, do not count."""

    def __init__(self, name: str = "accuracy", **options: Any) -> None:
        super().__init__(name=name, **options)

    def update_state(
        self, targets: keras.KerasTensor, logits: keras.KerasTensor, sample_weight: keras.KerasTensor | None = None
    ) -> None:
        """Count a batch's targets and logits, both (batch, class)."""
        correct = ops.equal(ops.argmax(targets, -1), ops.argmax(logits, -1))
        super().update_state(ops.cast(correct, "float32"), sample_weight=ops.sum(targets, -1))


class _EpochCallback(keras.callbacks.Callback):
    """Seeds the random layers before each epoch; writes a checkpoint after it and decides whether the phase ends."""

    def __init__(self, configuration: Configuration, phase: Phase, checkpoint: Checkpoint, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._configuration = configuration
        self._phase = phase
        self._checkpoint = checkpoint
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._started = time.monotonic()
        # A model's saved weights do not include the state of its seed generators, so an epoch sets it anew.
        for position, layer in enumerate(self.model._flatten_layers()):
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                seeds = np.random.SeedSequence([self._configuration.seed, epoch, position]).generate_state(2)
                generator.state.assign(seeds)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        metrics = logs or {}
        rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))
        if not np.isfinite(metrics["loss"]) or not np.isfinite(metrics["val_loss"]):
            raise DivergedError(f"the loss is no number after epoch {epoch + 1}: try a lower --learning-rate")
        done = Epoch(
            epoch + 1,
            self._phase.name,
            rate,
            metrics["loss"],
            metrics["accuracy"],
            metrics["val_loss"],
            metrics["val_accuracy"],
            round(time.monotonic() - self._started, 3),
        )
        self._checkpoint.add(self.model, done)
        curves.write(self._checkpoint.history, self._folder)
        of_phase = [past for past in self._checkpoint.history if past.phase == self._phase.name]
        if _patience_is_over(of_phase, self._configuration.patience):
            log.info("no better validation loss for %d epochs: the phase ends", self._configuration.patience)
            self.model.stop_training = True


def _patience_is_over(done: list[Epoch], patience: int | None) -> bool:
    """Whether ``patience`` epochs have followed the best of these epochs."""
    if patience is None or not done:
        return False
    best = min(done, key=lambda epoch: epoch.validation_loss)
    return done[-1].epoch - best.epoch >= patience
