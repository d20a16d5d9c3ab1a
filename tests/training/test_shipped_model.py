"""The model that lies in the repository: what its card claims, and that it knows the sample scans."""

from pathlib import Path

import keras
import numpy as np
import pytest

from brain_tumor.image import Preprocessor
from brain_tumor.metadata import ModelMetadata
from training.evaluate.ood import strangers_flagged
from training.train.calibrate import energy

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "model-server" / "models" / "brain-tumor.keras"


@pytest.fixture(scope="module")
def card() -> ModelMetadata:
    return ModelMetadata.from_json(MODEL.with_suffix(".json").read_text())


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return keras.models.load_model(MODEL)


def test_it_is_small_and_says_that_it_learnt_from_the_phantom(card: ModelMetadata) -> None:
    assert MODEL.stat().st_size < 3_000_000
    assert card.training["data"] == "phantom"
    assert "phantom" in card.notice


def test_it_reached_the_accuracy_asked_for(card: ModelMetadata) -> None:
    assert card.metrics["test"]["accuracy"] >= 0.9
    assert min(card.metrics["test"]["sensitivity"].values()) >= 0.85


def test_its_card_is_complete(card: ModelMetadata) -> None:
    assert card.training["audited"]
    assert set(card.metrics) >= {"validation", "test", "deduplicated_test", "operating_points", "strangers_flagged"}
    assert set(card.documentation) >= {"intended_use", "out_of_scope", "data", "groups", "limits", "tripod_ai"}


@pytest.mark.parametrize("name", ["glioma", "meningioma", "notumor", "pituitary"])
def test_it_knows_the_sample_scan_and_does_not_find_it_strange(
    name: str, card: ModelMetadata, model: keras.Model
) -> None:
    preprocessor = Preprocessor(card.height, card.width, card.resampling)
    logits = model.predict(preprocessor.from_bytes((ROOT / "examples" / f"{name}.jpg").read_bytes()), verbose=0)
    assert card.class_names[int(logits.argmax())] == name
    assert energy(logits)[0] <= card.out_of_distribution_threshold


def test_it_finds_images_strange_that_are_no_scans(card: ModelMetadata, model: keras.Model) -> None:
    assert card.out_of_distribution_threshold is not None
    flagged = strangers_flagged(model, card.height, card.out_of_distribution_threshold)
    assert np.min(list(flagged.values())) > 0.9, flagged
    assert flagged == pytest.approx(card.metrics["strangers_flagged"], abs=0.02)
