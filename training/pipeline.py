"""One training run from end to end: read, fit, calibrate, measure, and write the model with its card."""

import logging
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from brain_tumor.card import Card
from brain_tumor.picture import Preprocessor
from training import calibrate, data, evaluate, fit, networks

log = logging.getLogger(__name__)

_HELD_OUT = 0.15  # of the training patients, to validate on
_PREDICTION_BATCH = 64


@dataclass(frozen=True)
class Options:
    """What to train, and how.

    Attributes:
        weights: "imagenet" freezes the backbone; None trains all from scratch. side: of the pictures, pixels.
    """

    model: str
    weights: str | None
    side: int
    resampling: str
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int


@dataclass(frozen=True)
class Pictures:
    """One part of the data, read: pixels uint8 (n, side, side, 3), labels int64 (n,)."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


def train(found: data.DataSet, options: Options) -> tuple[keras.Model, Card]:
    """Fit on Training, choose temperature and threshold on a held-out part of it, and measure on Testing.

    Raises:
        DataError, NetworkError: the data or the network cannot be used; the message says why.
    """
    keras.utils.set_random_seed(options.seed)
    tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy("float32")
    started = time.monotonic()
    model = networks.build(options.model, options.side, len(found.class_names), options.weights)
    preprocessor = Preprocessor(options.side, options.side, options.resampling)
    fitted, held = data.hold_out(found, _HELD_OUT, options.seed)
    parts = [
        Pictures(data.read(found.folder, files, preprocessor), found.labels(files))
        for files in (fitted, held, list(found.testing))
    ]
    training, validation, testing = parts
    log.info("%d pictures to fit, %d to validate, %d to test", *(len(part.labels) for part in parts))
    fit_batches, validation_batches = (
        fit.Batches(part.pixels, part.labels, len(found.class_names), options.batch_size, options.seed + index)
        for index, part in enumerate((training, validation))
    )
    fit.fit(model, fit_batches, validation_batches, options.epochs, options.learning_rate)

    logits = [model.predict(part.pixels, _PREDICTION_BATCH, verbose=0) for part in (validation, testing)]
    temperature = calibrate.temperature(logits[0], validation.labels)
    threshold = calibrate.threshold(logits[0])
    metrics = evaluate.classification(logits[1], testing.labels, found.class_names, temperature)
    metrics["validation_accuracy"] = round(float((logits[0].argmax(1) == validation.labels).mean()), 4)
    metrics["scans_flagged"] = round(float((calibrate.energy(logits[1]) > threshold).mean()), 4)
    metrics["strangers_flagged"] = evaluate.strangers(model, options.side, threshold)
    provenance: dict[str, Any] = {
        "data": found.name,
        "fingerprint": found.fingerprint(),
        "pictures": {"fitted": len(fitted), "validated": len(held), "tested": len(found.testing)},
        "patients": len(set(found.patients.values())) or None,
        "model": options.model,
        "weights": options.weights or "none",
        "parameters": model.count_params(),
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "seed": options.seed,
        "seconds": round(time.monotonic() - started),
    }
    versions = {
        "python": platform.python_version(),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }
    card = Card(
        found.class_names,
        options.side,
        options.side,
        options.resampling,
        temperature=round(temperature, 4),
        out_of_distribution_threshold=round(threshold, 4),
        explains=True,
        training=provenance,
        metrics=metrics,
        versions=versions,
    )
    return model, card


def save(model: keras.Model, card: Card, out: Path) -> None:
    """Write the model without its optimizer's state, and the card beside it; each file appears whole or not at all."""
    with _published(out) as scratch, _published(out.with_suffix(".json")) as beside:
        model.save(scratch)
        # Keras writes the optimizer of a compiled model, whatever it is asked.
        keras.models.load_model(scratch, compile=False).save(scratch)
        beside.write_text(card.to_json(), encoding="utf-8")


@contextmanager
def _published(path: Path) -> Iterator[Path]:
    """A file to write, which becomes ``path`` when all went well and vanishes otherwise."""
    scratch = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield scratch
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
