"""The SavedModel in the repository is what the converter makes from the .keras file beside it."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from brain_tumor.contract import (
    ACTIVATION_MAPS,
    IMAGES,
    METADATA_ASSET,
    OUT_OF_DISTRIBUTION,
    PREDICT_SIGNATURE,
    PROBABILITIES,
)
from brain_tumor.metadata import ModelMetadata
from brain_tumor.preprocess import Preprocessor
from tests.processes import EXAMPLES, ROOT, SHIPPED_MODEL

KERAS_MODEL = SHIPPED_MODEL.with_suffix(".keras")


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    command = [sys.executable, "-m", "converter", str(KERAS_MODEL), str(models)]
    subprocess.run([*command, "--name", "brain-tumor", "--version", "1"], cwd=ROOT, check=True)
    return models / "brain-tumor" / "1"


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    metadata = ModelMetadata.from_json((SHIPPED_MODEL / "1" / METADATA_ASSET).read_text())
    preprocessor = Preprocessor(metadata.image)
    return np.concatenate([preprocessor.from_bytes(path.read_bytes()) for path in sorted(EXAMPLES.glob("*.jpg"))])


def test_the_metadata_is_equal(converted: Path) -> None:
    assert (converted / METADATA_ASSET).read_text() == (SHIPPED_MODEL / "1" / METADATA_ASSET).read_text()


def test_the_predictions_are_equal(converted: Path, images: np.ndarray) -> None:
    shipped, again = (predict(folder, images) for folder in (SHIPPED_MODEL / "1", converted))
    assert shipped.keys() == again.keys() == {PROBABILITIES, OUT_OF_DISTRIBUTION, ACTIVATION_MAPS}
    for name in shipped:
        np.testing.assert_allclose(shipped[name], again[name], atol=1e-5)


def test_the_predictions_are_those_of_the_keras_model(images: np.ndarray) -> None:
    metadata = json.loads((SHIPPED_MODEL / "1" / METADATA_ASSET).read_text())
    logits = keras.saving.load_model(KERAS_MODEL, compile=False).predict(images.astype(np.float32), verbose=0)
    calibrated = keras.ops.convert_to_numpy(keras.ops.softmax(logits / metadata["temperature"]))
    np.testing.assert_allclose(predict(SHIPPED_MODEL / "1", images)[PROBABILITIES], calibrated, atol=1e-4)


def predict(folder: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    signature = tf.saved_model.load(str(folder)).signatures[PREDICT_SIGNATURE]
    return {name: tensor.numpy() for name, tensor in signature(**{IMAGES: tf.constant(images)}).items()}
