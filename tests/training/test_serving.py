"""A run's model converted: what its SavedModel holds, and what the converter refuses."""

from pathlib import Path

import pytest
import tensorflow as tf

from brain_tumor.contract import METADATA, METADATA_ASSET, MODEL_NAME, QUERIES
from brain_tumor.metadata import ModelMetadata
from training import serving
from training.train import run


def test_the_converted_model_has_the_runs_whole_metadata(converted: Path, documented_run: Path) -> None:
    """They are in the SavedModel's assets, and ``describe`` returns them."""
    expected = run.read_metadata(documented_run)
    asset = ModelMetadata.from_json((converted / METADATA_ASSET).read_text())
    describe = tf.saved_model.load(str(converted)).signatures["describe"]
    described = describe(**{QUERIES: tf.constant([""])})[METADATA].numpy().item().decode()
    assert expected.documentation["intended_use"]
    for metadata in (asset, ModelMetadata.from_json(described)):
        assert metadata.documentation == expected.documentation
        assert metadata.metrics == expected.metrics
        assert metadata.training == expected.training
        assert (metadata.name, metadata.temperature) == (MODEL_NAME, expected.temperature)


def test_a_version_that_exists_is_not_converted_again(converted: Path, documented_run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in converted.rglob("*")}
    assert serving.convert(documented_run / run.MODEL, documented_run / "models") == converted
    assert {path: path.stat().st_mtime_ns for path in converted.rglob("*")} == before


def test_the_converters_refusal_is_quoted(documented_run: Path, tmp_path: Path) -> None:
    (tmp_path / run.MODEL).write_bytes(b"no model")
    (tmp_path / run.METADATA).write_bytes((documented_run / run.METADATA).read_bytes())
    with pytest.raises(serving.ServingError, match=r"model\.keras cannot be converted: .*a text file, not a model"):
        serving.convert(tmp_path / run.MODEL, tmp_path / "models")
    assert not (tmp_path / "models" / MODEL_NAME / "1").exists()
