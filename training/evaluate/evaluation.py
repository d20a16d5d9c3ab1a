"""Tests a finished run on the test images: on all of them as published, and on those that training has not seen."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from brain_tumor.atomic import write_json
from brain_tumor.metadata import ModelMetadata
from brain_tumor.preprocess import Preprocessor
from brain_tumor.quality import calibrate
from brain_tumor.quality.healthy import HEALTHY_CLASS
from brain_tumor.quality.metrics import Predictions, rounded, summary
from training.data.data_set import DataSet
from training.data.errors import DataError
from training.data.groups import Groups
from training.data.healthy import not_counted
from training.data.reading import read
from training.evaluate import page
from training.evaluate.activation import activation_maps
from training.evaluate.evaluated_images import PREDICTIONS, EvaluatedImages
from training.evaluate.ood import ood_samples_flagged
from training.evaluate.operating_points import operating_points
from training.evaluate.unseen import unseen
from training.train import run
from training.train.checkpoint import CheckpointError
from training.train.input_pipeline import PREDICTION_BATCH

log = logging.getLogger(__name__)

FOLDER, EVALUATION = "evaluation", "evaluation.json"


def evaluate(folder: Path, data: DataSet, groups: Groups) -> ModelMetadata:
    """Test a run; writes ``evaluation/`` into its folder and the metrics into its metadata.

    Args:
        folder: The run's folder.
        data: The data set that the run was trained on.
        groups: Which images belong together.

    Returns:
        The run's metadata with the metrics and the class without tumour.

    Raises:
        CheckpointError: There is no finished run, or it was trained on other images or classes.
        DataError: A test image cannot be read, training has seen all of them, or several classes may be the one
            without tumour.
    """
    metadata = run.read_metadata(folder)
    if (metadata.class_names, metadata.training.get("fingerprint")) != (data.class_names, data.fingerprint()):
        raise CheckpointError(f"{folder} was trained on other images than {data.folder}: name the folder of those")
    metadata = replace(metadata, training={**metadata.training, HEALTHY_CLASS: healthy_of(metadata, data)})
    if metadata.training[HEALTHY_CLASS] is None:
        log.warning("warning: %s", not_counted(metadata.class_names))
    is_unseen = unseen(data, groups)
    if not is_unseen.any():
        raise DataError(f"every test image of {data.folder} belongs together with a training image")
    model, held_out = run.load_model(folder), run.read_validation(folder)
    pixels = read(data.folder, list(data.testing), Preprocessor(metadata.image))
    logits = model.predict(pixels, PREDICTION_BATCH, verbose=0)
    predictions = _predictions(metadata, logits, data.labels(data.testing), groups.of(data.testing))
    tested = EvaluatedImages(data.testing, pixels, logits, predictions, is_unseen)
    validation = _predictions(metadata, held_out.logits, held_out.labels, groups.of(held_out.files))
    log.info("%d test images; intervals by bootstrap ...", len(data.testing))
    threshold = metadata.out_of_distribution_threshold or 0.0  # a trained run always has one
    metrics: dict[str, Any] = {
        "validation": summary(validation),
        "test": summary(predictions),
        "deduplicated_test": summary(predictions.only(is_unseen)) if groups.audited else None,
        "groups": groups.digest(),
        "scans_flagged": float((calibrate.energy(logits) > threshold).mean()),
        "ood_samples_flagged": ood_samples_flagged(model, metadata.image, threshold),
    }
    metrics = rounded(metrics)
    metrics["operating_points"] = [
        rounded(point) | {"threshold": point["threshold"]} for point in operating_points(validation, predictions)
    ]
    mistakes = tested.worst_mistakes()
    maps = activation_maps(model, pixels[mistakes]) if len(mistakes) else None
    out = folder / FOLDER
    page.write(metadata, data.name, metrics, tested, maps, out)
    tested.write(out / PREDICTIONS)
    write_json(out / EVALUATION, metrics)
    metadata = replace(metadata, metrics=metrics, documentation={})  # its statements were about older metrics
    run.write_metadata(metadata, folder)
    return metadata


def healthy_of(metadata: ModelMetadata, data: DataSet) -> str | None:
    """The class without tumour: as the user or the manifest names it now, as the run knows it, or by its usual names.

    Raises:
        DataError: Several classes have a usual name, and none was named.
    """
    return data.named_healthy or metadata.training.get(HEALTHY_CLASS) or data.healthy


def _predictions(
    metadata: ModelMetadata, logits: NDArray[np.float32], labels: NDArray[np.int64], groups: NDArray[np.int64]
) -> Predictions:
    """The calibrated predictions."""
    probabilities = softmax(logits.astype(np.float64) / metadata.temperature, axis=1)
    return Predictions(metadata.class_names, probabilities, labels, groups, metadata.training[HEALTHY_CLASS])
