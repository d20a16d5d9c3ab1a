"""How long an experiment will take on this machine: a few steps are measured, the remaining epochs are counted."""

import csv
import logging
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from training.compare.comparison import COST, SEARCH
from training.compare.plan import Plan
from training.data.data_set import DataSet
from training.experiment.finished import audited_groups, belongs_to
from training.explore.exploration import SUMMARY
from training.train import networks, run
from training.train.curves import EPOCHS
from training.train.fit import compile_for
from training.train.input_pipeline import OOD_SAMPLES_PER_SCAN
from training.train.options import Configuration

log = logging.getLogger(__name__)

_STEPS = 3  # measured, after one that builds the graph
_PREDICTION = 0.4  # a batch that is only predicted, as a share of a training step; small and MobileNetV3Small
_MODEL_SECONDS = 60.0  # to convert a network, and to time it on the model server; measured on 2 cores
# Seconds per image, measured on 2 cores with the phantom.
_EXPLORE, _AUDIT, _READ, _EVALUATE = 0.004, 0.04, 0.001, 0.02


@dataclass(frozen=True)
class StepTimes:
    """How long a training step of a network takes.

    Attributes:
        phases: Seconds by the phase's name.
        first: Seconds of the first step, in which the graph is built.
    """

    phases: dict[str, float]
    first: float


def stages(data_set: DataSet, plan: Plan, out: Path) -> dict[str, float]:
    """How many seconds each stage still takes on this machine, by its name; trains each network for a few steps."""
    images = len(data_set.training) + len(data_set.testing)
    validated = round(run.HELD_OUT * len(data_set.training))
    fitted = len(data_set.training) - validated
    left = {
        "explore": 0.0 if belongs_to(out / "explore" / SUMMARY, data_set) else _EXPLORE * images,
        "audit": 0.0 if audited_groups(out / "audit", data_set) else _AUDIT * images,
    }
    for candidate in plan.candidates:
        folders = plan.runs(candidate.model, out / "compare")
        trials = [folders[0].parent / SEARCH / f"trial-{number}" for number in range(plan.trials)]
        unfinished = [
            (configuration, folder)
            for configuration, planned in ((plan.trial(candidate), trials), (candidate, folders))
            for folder in planned
            if not (folder / run.METADATA).exists()
        ]
        left[candidate.model] = 0.0 if (folders[0] / COST).exists() else _MODEL_SECONDS
        if unfinished:
            log.info("%s: timing a few steps ...", candidate.model)
            times = measure(candidate, len(data_set.class_names))
            left[candidate.model] += sum(
                seconds_left(configuration, times, folder, fitted, validated) for configuration, folder in unfinished
            )
    left["evaluate and serve"] = _EVALUATE * len(data_set.testing) + 60
    return left


def measure(configuration: Configuration, classes: int) -> StepTimes:
    """Train a network from random weights for a few steps on noise.

    Raises:
        NetworkError: The network cannot be built.
    """
    rng = np.random.default_rng(0)
    side = configuration.side
    count = round(configuration.batch_size * (1 + OOD_SAMPLES_PER_SCAN * configuration.ood_samples))
    pixels = rng.integers(0, 256, (count, side, side, 3), np.uint8)
    targets = np.eye(classes, dtype=np.float32)[rng.integers(classes, size=count)]
    model = networks.build(configuration.model, side, classes, None, configuration.head, configuration.precision)
    phases, first = {}, 0.0
    for phase in configuration.phases:
        compile_for(model, configuration, phase, _STEPS)
        times = []
        for _ in range(1 + _STEPS):
            started = time.perf_counter()
            model.train_on_batch(pixels, targets)
            times.append(time.perf_counter() - started)
        phases[phase.name] = statistics.median(times[1:])
        first = max(first, times[0])
    keras.utils.clear_session(free_memory=True)
    return StepTimes(phases, first)


def seconds_left(configuration: Configuration, times: StepTimes, folder: Path, fitted: int, validated: int) -> float:
    """The seconds that a run in ``folder`` still takes if no phase ends early; finished epochs are not counted.

    Args:
        configuration: The run's configuration.
        times: How long the network's steps take.
        folder: The run's folder.
        fitted: Number of images to learn from.
        validated: Number of images to validate on.
    """
    done = _epochs_done(folder)
    batches = (fitted + _PREDICTION * validated) / configuration.batch_size
    epochs = sum(
        max(phase.epochs - done[phase.name], 0) * times.phases[phase.name] * batches for phase in configuration.phases
    )
    return epochs + len(configuration.phases) * times.first + _READ * (fitted + validated)


def duration(seconds: float) -> str:
    """A duration in words: 7380 is "2 h 3 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours >= 48:
        return f"{hours // 24} days {hours % 24} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _epochs_done(folder: Path) -> Counter[str]:
    try:
        with (folder / EPOCHS).open(newline="", encoding="utf-8") as stream:
            return Counter(row["phase"] for row in csv.DictReader(stream))
    except (OSError, KeyError):
        return Counter()
