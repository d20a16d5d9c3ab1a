"""What is done to a graph before it is written."""

import numpy as np

from brain_tumor import contract
from brain_tumor.processes import ROOT
from converter.int8 import runtime
from tests.converter import compare

MODEL = ROOT / "model-server" / "models" / contract.MODEL_NAME / "1"


def test_another_temperature_changes_the_probabilities_alone(tmp_path):
    images = compare.synthetic_images(128, 128)
    model = runtime.load(MODEL)
    before = runtime.outputs(model, images)
    runtime.rescale_logits(model, 0.5)
    runtime.save(model, tmp_path / "model.xml")
    after = runtime.outputs(runtime.load(tmp_path / "model.xml"), images)
    np.testing.assert_allclose(after.probabilities, compare.softmax(before.logits(1) / 2), atol=1e-5)
    np.testing.assert_array_equal(after.scores, before.scores)
    np.testing.assert_array_equal(after.maps, before.maps)
