"""The three backbones at their full depth and width, with random weights."""

import keras
import numpy as np
import pytest

from converter.convert import Job, convert
from tests.converter import compare
from tests.converter.small_models import classifier, randomise, write

SIDE = 128  # smaller images than in use, which saves most of the time and changes no layer


@pytest.mark.parametrize(
    "name, module, folded, megabytes",
    [("Xception", "xception", 40, 90), ("InceptionV3", "inception_v3", 94, 92), ("ResNet101V2", "resnet_v2", 66, 180)],
)
def test_a_backbone(tmp_path, name, module, folded, megabytes):
    pixels = keras.Input((SIDE, SIDE, 3))
    base = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3))
    x = getattr(keras.applications, module).preprocess_input(pixels)
    model = randomise(keras.Model(pixels, classifier(base(x, training=False), 4)))
    source = write(tmp_path, model)
    job = Job(source, source.with_suffix(".json"), tmp_path / "models")
    report = convert(job)
    assert (report.folded, report.metadata.explains) == (folded, True)
    assert report.size <= megabytes * 1e6
    images = compare.synthetic_images(SIDE, SIDE, count=2)
    outputs = compare.by_openvino(job.target, images)
    np.testing.assert_allclose(outputs["probabilities"], compare.by_keras(model, images), atol=compare.TOLERANCE)
