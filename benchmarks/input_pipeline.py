"""Images a second of training's input pipeline alone, and of a training step alone: does the network ever wait?

    python -m benchmarks.input_pipeline

The two are timed in turn, in one process, so that other load on the machine slows both.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

from training.train.fit import compile_for
from training.train.input_pipeline import Images, training_batches
from training.train.networks import SMALL, build
from training.train.ood import training_samples
from training.train.options import Options, configure

MODELS = (SMALL, "MobileNetV3Small")  # our own, and the backbone of keras.applications with the fewest multiplications
CLASSES = 4
IMAGES = 2048
BATCHES = 30  # of the pipeline, and of the step, in each round
ROUNDS = 5


def rates(name: str) -> tuple[float, float]:
    """Images a second: of the pipeline, with augmentation and out-of-distribution samples, and of the step."""
    configuration = configure(name, Options(precision="float32"))
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (IMAGES, configuration.side, configuration.side, 3), np.uint8)
    scans = Images(pixels, rng.integers(CLASSES, size=IMAGES))
    ood_samples = training_samples(pixels[:200], 200, rng)
    batches = iter(
        training_batches(
            scans, ood_samples, CLASSES, configuration.batch_size, configuration.augmentation, 0, range(1000)
        )
    )
    model = build(name, configuration.side, CLASSES)
    compile_for(model, configuration, configuration.phases[-1], scans.steps(configuration.batch_size))
    batch = next(batches)
    model.train_on_batch(*batch)
    pipeline, step = [], []
    for _ in range(ROUNDS):
        pipeline.append(_rate(lambda: next(batches), len(batch[1])))
        step.append(_rate(lambda: model.train_on_batch(*batch), len(batch[1])))
    return statistics.median(pipeline), statistics.median(step)


def _rate(work: Callable[[], object], images: int) -> float:
    started = time.perf_counter()
    for _ in range(BATCHES):
        work()
    return BATCHES * images / (time.perf_counter() - started)


def main() -> None:
    print(f"{'network':<18} {'pipeline':>12} {'step':>12} {'ratio':>6}   images a second, medians of {ROUNDS}")
    for name in MODELS:
        pipeline, step = rates(name)
        print(f"{name:<18} {pipeline:>10.0f}/s {step:>10.0f}/s {pipeline / step:>6.1f}", flush=True)


if __name__ == "__main__":
    main()
