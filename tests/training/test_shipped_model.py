"""The model that lies in the repository: what its metadata claim, and its predictions for the sample scans."""

import json

import keras
import numpy as np
import pytest

from brain_tumor.metadata import ModelMetadata
from brain_tumor.preprocess import Preprocessor
from brain_tumor.quality.calibrate import energy
from brain_tumor.reference import FEATURES
from tests.processes import ROOT
from training.evaluate.ood import ood_samples_flagged

MODEL = ROOT / "model-server" / "models" / "brain-tumor.keras"


@pytest.fixture(scope="module")
def metadata() -> ModelMetadata:
    return ModelMetadata.from_json(MODEL.with_suffix(".json").read_text())


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return keras.models.load_model(MODEL)


def test_it_is_small_and_says_that_it_learnt_from_the_phantom(metadata: ModelMetadata) -> None:
    assert MODEL.stat().st_size < 3_000_000
    assert metadata.training["data"] == "phantom"
    assert "phantom" in metadata.notice


def test_it_reached_the_accuracy_asked_for(metadata: ModelMetadata) -> None:
    assert metadata.metrics["test"]["accuracy"] >= 0.9
    assert min(metadata.metrics["test"]["sensitivity"].values()) >= 0.85


def test_its_metadata_are_complete(metadata: ModelMetadata) -> None:
    assert metadata.training["audited"]
    assert set(metadata.metrics) >= {
        "validation",
        "test",
        "deduplicated_test",
        "operating_points",
        "ood_samples_flagged",
    }
    assert set(metadata.documentation) >= {"intended_use", "out_of_scope", "data", "groups", "limits", "tripod_ai"}


def test_it_says_how_its_validation_images_are_spread(metadata: ModelMetadata) -> None:
    assert tuple(metadata.reference) == FEATURES
    validated = metadata.training["images"]["validated"]
    assert {sum(histogram.counts) for histogram in metadata.reference.values()} == {validated}


def test_the_evaluation_beside_its_card_is_that_of_its_metadata(metadata: ModelMetadata) -> None:
    evaluation = ROOT / "docs" / "shipped-model" / "evaluation" / "evaluation.json"
    assert json.loads(evaluation.read_text()) == metadata.metrics


@pytest.mark.parametrize("name", ["glioma", "meningioma", "notumor", "pituitary"])
def test_it_classifies_the_sample_scan_and_does_not_flag_it(
    name: str, metadata: ModelMetadata, model: keras.Model
) -> None:
    preprocessor = Preprocessor(metadata.image)
    logits = model.predict(preprocessor.from_bytes((ROOT / "examples" / f"{name}.jpg").read_bytes()), verbose=0)
    assert metadata.class_names[int(logits.argmax())] == name
    assert energy(logits)[0] <= metadata.out_of_distribution_threshold


def test_it_flags_images_that_are_no_scans(metadata: ModelMetadata, model: keras.Model) -> None:
    assert metadata.out_of_distribution_threshold is not None
    flagged = ood_samples_flagged(model, metadata.image, metadata.out_of_distribution_threshold)
    assert np.min(list(flagged.values())) > 0.9, flagged
    assert flagged == pytest.approx(metadata.metrics["ood_samples_flagged"], abs=0.02)
