"""Which form of a model runs, what it says of itself, and what happens where a form is missing."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from portable_model_server.engines.base import EngineError, Threads
from portable_model_server.engines.choice import create_engine
from portable_model_server.engines.form import choose_form
from portable_model_server.engines.openvino import openvino
from serving_api.names import INT8_METADATA, INT8_MODEL, METADATA_ASSET
from tests.model_server.savedmodels import image_model, random_images

FLOAT_METADATA = '{"recommended_precision": "int8"}'
INT8_METADATA_TEXT = '{"precision": "int8"}'
OUTPUTS = ["probabilities", "out_of_distribution", "activation_maps"]


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Path:
    """A version folder with both forms. They have different weights, so that a test sees which one runs."""
    path = image_model(tmp_path_factory.mktemp("both") / "1", card=FLOAT_METADATA)
    other = image_model(tmp_path_factory.mktemp("other") / "1", seed=1)
    (path / INT8_MODEL).parent.mkdir(parents=True)
    openvino.save_model(openvino.Core().read_model(other), path / INT8_MODEL, compress_to_fp16=False)
    (path / INT8_METADATA).write_text(INT8_METADATA_TEXT)
    (path / METADATA_ASSET).write_text(FLOAT_METADATA)
    return path


@pytest.fixture
def copied(both: Path, tmp_path: Path) -> Path:
    """The same folder, for a test that damages it."""
    return shutil.copytree(both, tmp_path / "1")


def served(path: Path, precision: str = "", engine: str | None = "openvino"):
    """What the model describes itself as, and its outputs for an image."""
    model = create_engine(engine, Threads(1), precision).load(path)
    described = model.predict("describe", {"queries": np.array([b""], dtype=object)}, ["card"])["card"]
    outputs = model.predict("serving_default", {"images": random_images(1)}, OUTPUTS)
    model.close()
    return described.tolist(), outputs


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The outputs of the two forms' weights."""
    folder = tmp_path_factory.mktemp("expected")
    return [served(image_model(folder / str(seed), seed=seed))[1] for seed in (0, 1)]


@pytest.mark.parametrize("precision", ["", "int8"])
def test_the_int_8_form_runs_and_describes_itself(both, expected, precision):
    described, outputs = served(both, precision)
    assert described == [INT8_METADATA_TEXT.encode()]
    for alias in OUTPUTS:
        np.testing.assert_allclose(outputs[alias], expected[1][alias], atol=1e-5)


@pytest.mark.parametrize(
    ("precision", "engine"), [("float32", "openvino"), ("float32", "tensorflow"), ("", "tensorflow")]
)
def test_float32_on_request_and_on_tensorflow(both, expected, precision, engine):
    described, outputs = served(both, precision, engine)
    assert described == [FLOAT_METADATA.encode()]
    np.testing.assert_allclose(outputs["probabilities"], expected[0]["probabilities"], atol=1e-5)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"recommended_precision": "float32"}', '{"a": null}', "[" * 99999]
)
def test_float32_unless_int8_is_recommended(copied, text):
    (copied / METADATA_ASSET).write_text(text)
    form = choose_form(copied, "")
    assert (form.precision, form.file, form.metadata) == ("float32", copied, None)


@pytest.mark.parametrize("missing", [INT8_MODEL, INT8_METADATA])
def test_an_int8_form_that_is_not_there(copied, missing):
    (copied / missing).unlink()
    with pytest.raises(EngineError, match="holds no int8 form of the model: leave out --precision=int8, or convert"):
        choose_form(copied, "int8")
    with pytest.raises(EngineError, match="holds no int8 form of the model: copy the whole folder"):
        choose_form(copied, "")


def test_tensorflow_does_not_run_int8(both):
    with pytest.raises(EngineError, match="leave out --precision=int8"):
        create_engine("tensorflow", Threads(1), "int8")


def test_no_other_form_in_place_of_the_one_asked_for(copied):
    """Where OpenVINO fails, TensorFlow runs the model, but not in float32 for who asked for int8."""
    (copied / INT8_MODEL).write_text("damaged")
    with pytest.raises(EngineError, match="cannot compile"):
        create_engine(None, Threads(1), "int8").load(copied)
    assert create_engine(None, Threads(1)).load(copied).engine == "tensorflow"
