"""The converted model in the repository is what the converter makes of the .keras file beside it."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from brain_tumor.card import Card
from brain_tumor.contract import (
    ACTIVATION_MAPS,
    CARD_ASSET,
    IMAGES,
    OUT_OF_DISTRIBUTION,
    PREDICT_SIGNATURE,
    PROBABILITIES,
)
from brain_tumor.picture import Preprocessor
from tests.processes import EXAMPLES, ROOT, SHIPPED_MODEL

KERAS_MODEL = SHIPPED_MODEL.with_suffix(".keras")


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    command = [sys.executable, "-m", "converter", str(KERAS_MODEL), str(models)]
    subprocess.run([*command, "--name", "brain-tumor", "--version", "1"], cwd=ROOT, check=True)
    return models / "brain-tumor" / "1"


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    card = Card.from_json((SHIPPED_MODEL / "1" / CARD_ASSET).read_text())
    preprocessor = Preprocessor(card.height, card.width, card.resampling)
    return np.concatenate([preprocessor.from_bytes(path.read_bytes()) for path in sorted(EXAMPLES.glob("*.jpg"))])


def test_the_cards_are_equal(converted: Path) -> None:
    assert (converted / CARD_ASSET).read_text() == (SHIPPED_MODEL / "1" / CARD_ASSET).read_text()


def test_the_answers_are_equal(converted: Path, pictures: np.ndarray) -> None:
    shipped, anew = (predict(folder, pictures) for folder in (SHIPPED_MODEL / "1", converted))
    assert shipped.keys() == anew.keys() == {PROBABILITIES, OUT_OF_DISTRIBUTION, ACTIVATION_MAPS}
    for name in shipped:
        np.testing.assert_allclose(shipped[name], anew[name], atol=1e-5)


def test_the_answers_are_those_of_the_keras_model(pictures: np.ndarray) -> None:
    card = json.loads((SHIPPED_MODEL / "1" / CARD_ASSET).read_text())
    logits = keras.saving.load_model(KERAS_MODEL, compile=False).predict(pictures.astype(np.float32), verbose=0)
    calibrated = keras.ops.convert_to_numpy(keras.ops.softmax(logits / card["temperature"]))
    np.testing.assert_allclose(predict(SHIPPED_MODEL / "1", pictures)[PROBABILITIES], calibrated, atol=1e-4)


def predict(folder: Path, pictures: np.ndarray) -> dict[str, np.ndarray]:
    signature = tf.saved_model.load(str(folder)).signatures[PREDICT_SIGNATURE]
    return {name: tensor.numpy() for name, tensor in signature(**{IMAGES: tf.constant(pictures)}).items()}
