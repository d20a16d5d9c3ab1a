"""How long an experiment will take on this machine: a few steps are measured, the epochs that are left are counted."""

import csv
import logging
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from training.compare import COST, SEARCH, Plan
from training.data import DataSet
from training.experiment import done, known_groups
from training.explore import SUMMARY
from training.train import networks, run
from training.train.curves import EPOCHS
from training.train.fit import compile_for
from training.train.input_pipeline import STRANGERS
from training.train.recipes import Options

log = logging.getLogger(__name__)

_STEPS = 3  # measured, after one that builds the graph
_PREDICTION = 0.4  # of a training step: a batch that is only predicted; measured, small and MobileNetV3Small
_MODEL_SECONDS = 60.0  # to convert a network, and to time it on the model server; measured on 2 cores
# Seconds an image, measured on 2 cores with the phantom.
_EXPLORE, _AUDIT, _READ, _EVALUATE = 0.004, 0.04, 0.001, 0.02


@dataclass(frozen=True)
class StepTimes:
    """What a network's step takes: seconds by phase, and seconds of the first one, in which the graph is built."""

    phases: dict[str, float]
    first: float


def stages(data: DataSet, plan: Plan, out: Path) -> dict[str, float]:
    """Seconds that each stage still takes on this machine, by its name; trains each network for a few steps."""
    images = len(data.training) + len(data.testing)
    validated = round(run.HELD_OUT * len(data.training))
    found = {
        "explore": 0.0 if done(out / "explore" / SUMMARY, data) else _EXPLORE * images,
        "audit": 0.0 if known_groups(out / "audit", data) else _AUDIT * images,
    }
    for options in plan.candidates:
        runs = plan.runs(options, out / "compare")
        trials = [runs[0].parent / SEARCH / f"trial-{number}" for number in range(plan.trials)]
        planned = [
            (each, folder)
            for each, folders in ((plan.trial(options), trials), (options, runs))
            for folder in folders
            if not (folder / run.CARD).exists()
        ]
        found[options.model] = 0.0 if (runs[0] / COST).exists() else _MODEL_SECONDS
        if planned:
            log.info("%s: timing a few steps ...", options.model)
            times = measure(options, len(data.class_names))
            found[options.model] += sum(
                seconds_left(each, times, folder, len(data.training) - validated, validated) for each, folder in planned
            )
    found["evaluate and serve"] = _EVALUATE * len(data.testing) + 60
    return found


def measure(options: Options, classes: int) -> StepTimes:
    """Train a network from random weights for a few steps on noise.

    Raises:
        NetworkError: it cannot be built.
    """
    rng = np.random.default_rng(0)
    count = round(options.batch_size * (1 + STRANGERS * options.outliers))
    pixels = rng.integers(0, 256, (count, options.side, options.side, 3), np.uint8)
    targets = np.eye(classes, dtype=np.float32)[rng.integers(classes, size=count)]
    model = networks.build(options.model, options.side, classes, None, options.head, options.precision)
    phases, first = {}, 0.0
    for phase in options.phases:
        compile_for(model, options, phase, _STEPS)
        times = []
        for _ in range(1 + _STEPS):
            started = time.perf_counter()
            model.train_on_batch(pixels, targets)
            times.append(time.perf_counter() - started)
        phases[phase.name] = statistics.median(times[1:])
        first = max(first, times[0])
    keras.utils.clear_session(free_memory=True)
    return StepTimes(phases, first)


def seconds_left(options: Options, times: StepTimes, folder: Path, fitted: int, validated: int) -> float:
    """What a run in ``folder`` still takes, if it is not stopped early; an epoch that is done is not counted.

    Args:
        fitted, validated: how many images.
    """
    behind = _epochs_done(folder)
    batches = fitted / options.batch_size, _PREDICTION * validated / options.batch_size
    epochs = sum(
        max(phase.epochs - behind[phase.name], 0) * times.phases[phase.name] * sum(batches) for phase in options.phases
    )
    return epochs + len(options.phases) * times.first + _READ * (fitted + validated)


def words(seconds: float) -> str:
    """7380 as "2 h 3 min"."""
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
