"""One run in its folder: the images and options it is made of, its weights, its logs and its results.

``model.json``, the model's metadata, is written last: a folder that has it holds a finished run.
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

from brain_tumor.atomic import atomic_file, write_json
from brain_tumor.metadata import MetadataError, ModelMetadata
from brain_tumor.preprocess import Preprocessor
from brain_tumor.quality import calibrate
from brain_tumor.quality.healthy import HEALTHY_CLASS
from brain_tumor.quality.ood_samples import prepared
from converter.graph.float32 import float32_copy
from converter.graph.keras_head import has_exact_activation_maps
from training.data.data_set import DataSet
from training.data.groups import Groups
from training.data.reading import read, sizes
from training.data.split import hold_out
from training.train import networks
from training.train.checkpoint import Checkpoint, CheckpointError, require_same
from training.train.fit import fit
from training.train.input_pipeline import PREDICTION_BATCH, Images
from training.train.ood import training_samples
from training.train.options import Configuration
from training.train.reference import reference_of

log = logging.getLogger(__name__)

MODEL, METADATA, RUN, VALIDATION = "model.keras", "model.json", "run.json", "validation.npz"
HELD_OUT = 0.15  # about this share of the training images, at most, is held out to validate on
_OOD_SAMPLES = 2000  # at most, from which the batches draw


@dataclass(frozen=True)
class Validation:
    """The outputs of a run's model for its validation images.

    Attributes:
        files: Paths relative to the data's folder.
        logits: float32 (n, class).
        labels: int64 (n,).
    """

    files: list[str]
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]


def train(data_set: DataSet, groups: Groups, configuration: Configuration, folder: Path) -> ModelMetadata:
    """Fit on one part of Training, and choose temperature and threshold on the other; Testing is not used.

    An interrupted run is continued; a finished one is left as it is.

    Args:
        data_set: The images.
        groups: Which of them must not be parted.
        configuration: How the network is trained.
        folder: The run's folder.

    Raises:
        DataError: The images cannot be used.
        NetworkError: The network cannot be built, or needs more memory than there is.
        CheckpointError: ``folder`` holds another run, or damaged weights.
        DivergedError: The loss is no longer a number.
        ConversionError: The converter cannot take the network; it takes every network that ``networks.build`` makes.
    """
    healthy = data_set.healthy  # fails before the long work
    fitted, held_out = hold_out(data_set, groups, HELD_OUT, configuration.split_seed)
    identity = {
        **configuration.as_json(),
        "data": data_set.name,
        "fingerprint": data_set.fingerprint(),
        "validation": hashlib.sha256("\n".join(held_out).encode()).hexdigest(),
    }
    if (folder / METADATA).exists():
        require_same(_read_identity(folder), identity, folder)
        finished = read_metadata(folder)
        log.info(
            "%s is trained already; its class without tumour: %s (python -m training.evaluate --healthy names another)",
            folder,
            finished.training.get(HEALTHY_CLASS) or "not known",
        )
        return finished
    checkpoint = Checkpoint(folder / "checkpoint", identity)

    started = time.monotonic()
    keras.utils.set_random_seed(configuration.seed)
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)  # the served model computes with all float32 bits
    model = _build(configuration, len(data_set.class_names))
    explains = has_exact_activation_maps(model)
    preprocessor = Preprocessor(configuration.image)
    scans, validation = (
        Images(read(data_set.folder, files, preprocessor), data_set.labels(files)) for files in (fitted, held_out)
    )
    original_sizes = sizes(data_set.folder, held_out, preprocessor)
    ood_samples = None
    if configuration.ood_samples:
        count = min(_OOD_SAMPLES, len(fitted))
        samples = training_samples(scans.pixels, count, np.random.default_rng(configuration.seed))
        ood_samples = prepared(samples, preprocessor)
    log.info("%d images to fit, %d to validate", len(fitted), len(held_out))
    write_json(folder / RUN, {"identity": identity, "fitted": fitted, "validated": held_out, "versions": _versions()})
    try:
        fit(model, configuration, scans, validation, ood_samples, checkpoint, folder)
    except tf.errors.ResourceExhaustedError:
        raise networks.NetworkError(
            f"{configuration.model} needs more memory than there is: lower --batch-size or --size"
        ) from None

    model = as_served(model)
    logits = model.predict(validation.pixels, PREDICTION_BATCH, verbose=0)
    seconds = sum(epoch.seconds for epoch in checkpoint.history)
    log.info("epochs: %.0f s in all; this call: %.0f s", seconds, time.monotonic() - started)
    temperature = round(calibrate.temperature(logits, validation.labels), 4)
    metadata = ModelMetadata(
        data_set.class_names,
        configuration.image,
        temperature=temperature,
        out_of_distribution_threshold=round(calibrate.threshold(logits), 4),
        explains=explains,
        training={
            "data": data_set.name,
            "fingerprint": identity["fingerprint"],
            "images": {"fitted": len(fitted), "validated": len(held_out)},
            "groups": {"fitted": len(set(groups.of(fitted))), "validated": len(set(groups.of(held_out)))},
            "audited": groups.audited,
            "drawn": data_set.drawn,
            HEALTHY_CLASS: healthy,
            "parameters": model.count_params(),
            "options": configuration.as_json(),
            "epochs": len(checkpoint.history),
            "seconds": round(seconds),
        },
        metrics={"validation": _validation_metrics(logits, validation.labels, temperature)},
        versions=_versions(),
        reference=reference_of(validation.pixels, original_sizes, logits, temperature),
    )
    with atomic_file(folder / VALIDATION) as scratch, scratch.open("wb") as stream:
        np.savez(stream, files=np.array(held_out), logits=logits, labels=validation.labels)
    with atomic_file(folder / MODEL) as scratch:
        model.save(scratch)
    write_metadata(metadata, folder)
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    return metadata


def as_served(model: keras.Model) -> keras.Model:
    """A copy of the trained network in float32, without the optimizer, which Keras would save, and all of it trainable.

    It is copied layer by layer, not built anew: some backbones of keras.applications have other layers with pretrained
    weights than without. In a copy, layers share no dtype policy, whose address Keras would write into the file.
    """
    copy = float32_copy(keras.Model(model.input, model.output, name=model.name))
    networks.set_trainable(copy, backbone=True, batch_normalization=True)
    return copy


def read_metadata(folder: Path) -> ModelMetadata:
    """The metadata of a finished run.

    Raises:
        CheckpointError: There is no finished run.
    """
    try:
        return ModelMetadata.from_json((folder / METADATA).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, MetadataError):
        raise CheckpointError(f"{folder} holds no finished run: make one with python -m training.train") from None


def write_metadata(metadata: ModelMetadata, folder: Path) -> None:
    """Replace the metadata of a run."""
    with atomic_file(folder / METADATA) as scratch:
        scratch.write_text(metadata.to_json(), encoding="utf-8")


def read_validation(folder: Path) -> Validation:
    """The outputs of a finished run for its validation images.

    Raises:
        CheckpointError: They are missing or damaged.
    """
    try:
        with np.load(io.BytesIO((folder / VALIDATION).read_bytes())) as arrays:
            return Validation(arrays["files"].tolist(), arrays["logits"], arrays["labels"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        raise CheckpointError(f"{folder} holds no {VALIDATION} of a finished run") from None


def load_model(folder: Path) -> keras.Model:
    """The network of a finished run.

    Raises:
        CheckpointError: It is missing or damaged.
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


def _build(configuration: Configuration, classes: int) -> keras.Model:
    """The network, on every GPU of the machine if there are several."""
    several = len(tf.config.list_physical_devices("GPU")) > 1
    strategy = tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()
    with strategy.scope():
        return networks.build(
            configuration.model,
            configuration.side,
            classes,
            configuration.weights,
            configuration.head,
            configuration.precision,
        )


def _validation_metrics(
    logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float
) -> dict[str, int | float]:
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
