"""One run in its folder: what it is made of, its weights, its logs, and what it gave.

``model.json``, the card, is written last: a folder that has it is a run that was finished.
"""

import hashlib
import io
import json
import logging
import platform
import shutil
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from brain_tumor.atomic import atomic_file
from brain_tumor.image import Preprocessor
from brain_tumor.metadata import MetadataError, ModelMetadata
from training import data
from training.atomic import write_json
from training.data.groups import Groups
from training.data.split import hold_out
from training.train import calibrate, networks
from training.train.checkpoint import Checkpoint, CheckpointError, require_same
from training.train.fit import fit
from training.train.input_pipeline import PREDICTION_BATCH, Images
from training.train.ood import training_outliers
from training.train.recipes import PLAIN_HEAD, Options

log = logging.getLogger(__name__)

MODEL, CARD, RUN, VALIDATION = "model.keras", "model.json", "run.json", "validation.npz"
HELD_OUT = 0.15  # at most about so much of the training images, to validate on
_STRANGER_POOL = 2000


@dataclass(frozen=True)
class Validation:
    """What a run's model says of the images it was validated on: logits float32 (n, class), labels int64 (n,)."""

    files: list[str]
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]


def train(found: data.DataSet, groups: Groups, options: Options, folder: Path) -> ModelMetadata:
    """Fit on a part of Training, choose temperature and threshold on the rest of it; Testing is not looked at.

    A run that was interrupted goes on, one that is finished is left as it is.

    Raises:
        DataError, NetworkError: the data or the network cannot be used.
        CheckpointError: ``folder`` holds another run, or damaged weights.
        DivergedError: the loss is no number any more.
    """
    fitted, held = hold_out(found, groups, HELD_OUT, options.split_seed)
    identity = {
        **options.as_json(),
        "data": found.name,
        "fingerprint": found.fingerprint(),
        "validation": hashlib.sha256("\n".join(held).encode()).hexdigest(),
    }
    if (folder / CARD).exists():
        require_same(_read_identity(folder), identity, folder)
        log.info("%s is trained already", folder)
        return read_card(folder)
    checkpoint = Checkpoint(folder / "checkpoint", identity)

    started = time.monotonic()
    keras.utils.set_random_seed(options.seed)
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)  # what is served has all bits of float32
    classes = len(found.class_names)
    with _strategy().scope():
        model = networks.build(options.model, options.side, classes, options.weights, options.head, options.precision)
    preprocessor = Preprocessor(options.side, options.side, options.resampling)
    scans, validation = (
        Images(data.read(found.folder, files, preprocessor), found.labels(files)) for files in (fitted, held)
    )
    strangers = None
    if options.outliers:
        count = min(_STRANGER_POOL, len(fitted))
        strangers = training_outliers(scans.pixels, count, np.random.default_rng(options.seed))
    log.info("%d images to fit, %d to validate", len(fitted), len(held))
    write_json(folder / RUN, {"identity": identity, "fitted": fitted, "validated": held, "versions": _versions()})
    try:
        fit(model, options, scans, validation, strangers, checkpoint, folder)
    except tf.errors.ResourceExhaustedError:
        raise networks.NetworkError(
            f"{options.model} needs more memory than there is: lower --batch-size or --size"
        ) from None

    model = _in_float32(model)
    logits = model.predict(validation.pixels, PREDICTION_BATCH, verbose=0)
    seconds = sum(epoch.seconds for epoch in checkpoint.history)
    log.info("trained in %.0f s, %.0f of them in this call", seconds, time.monotonic() - started)
    temperature = round(calibrate.temperature(logits, validation.labels), 4)
    card = ModelMetadata(
        found.class_names,
        options.side,
        options.side,
        options.resampling,
        temperature=temperature,
        out_of_distribution_threshold=round(calibrate.threshold(logits), 4),
        explains=options.head == PLAIN_HEAD,
        training={
            "data": found.name,
            "fingerprint": identity["fingerprint"],
            "images": {"fitted": len(fitted), "validated": len(held)},
            "groups": {"fitted": len(set(groups.of(fitted))), "validated": len(set(groups.of(held)))},
            "audited": groups.audited,
            "parameters": model.count_params(),
            "options": options.as_json(),
            "epochs": len(checkpoint.history),
            "seconds": round(seconds),
        },
        metrics={"validation": _validation(logits, validation.labels, temperature)},
        versions=_versions(),
    )
    with atomic_file(folder / VALIDATION) as scratch, scratch.open("wb") as stream:
        np.savez(stream, files=np.array(held), logits=logits, labels=validation.labels)
    with atomic_file(folder / MODEL) as scratch:
        model.save(scratch)
    write_card(card, folder)
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    return card


def read_card(folder: Path) -> ModelMetadata:
    """The card of a finished run.

    Raises:
        CheckpointError: there is none.
    """
    try:
        return ModelMetadata.from_json((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, MetadataError):
        raise CheckpointError(f"{folder} holds no finished run: make one with python -m training.train") from None


def write_card(card: ModelMetadata, folder: Path) -> None:
    """Replace a run's card."""
    with atomic_file(folder / CARD) as scratch:
        scratch.write_text(card.to_json(), encoding="utf-8")


def read_validation(folder: Path) -> Validation:
    """What a finished run said of its validation images.

    Raises:
        CheckpointError: it is not there.
    """
    try:
        with np.load(io.BytesIO((folder / VALIDATION).read_bytes())) as kept:
            return Validation(kept["files"].tolist(), kept["logits"], kept["labels"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        raise CheckpointError(f"{folder} holds no {VALIDATION} of a finished run") from None


def load_model(folder: Path) -> keras.Model:
    """A finished run's network.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        return keras.models.load_model(folder / MODEL, compile=False)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        raise CheckpointError(f"{folder / MODEL} is missing or damaged: train it anew") from None


def _read_identity(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / RUN).read_text(encoding="utf-8"))["identity"]
    except (OSError, ValueError, KeyError, TypeError):
        raise CheckpointError(f"{folder} holds a model that no run of ours made: name another folder") from None


def _in_float32(model: keras.Model) -> keras.Model:
    """The network as it is served: without mixed precision, and without the optimizer, which Keras would save."""

    def in_float32(layer: keras.Operation) -> keras.Operation:
        dtype = {"dtype": "float32"} if isinstance(layer, keras.Layer) else {}  # an addition, say, has none
        return type(layer).from_config({**layer.get_config(), **dtype})

    # Not built anew: some backbones of keras.applications have other layers with pretrained weights than without.
    uncompiled = keras.Model(model.input, model.output, name=model.name)
    plain = keras.models.clone_model(uncompiled, clone_function=in_float32)
    networks.set_trainable(plain, backbone=True, batch_normalization=True)
    plain.set_weights(model.get_weights())
    return plain


def _strategy() -> tf.distribute.Strategy:
    """Every GPU of the machine, or what there is."""
    several = len(tf.config.list_physical_devices("GPU")) > 1
    return tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()


def _validation(logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float) -> dict[str, Any]:
    return {
        "images": len(labels),
        "accuracy": round(float((logits.argmax(1) == labels).mean()), 4),
        "negative_log_likelihood": round(calibrate.negative_log_likelihood(logits, labels, temperature), 4),
    }


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }
