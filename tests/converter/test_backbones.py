"""The three backbones at their full size, with random weights: minutes of work for the converter's every part."""

import keras
import numpy as np
import pytest

from converter.convert import Job, convert
from converter.scaling import Scaling
from tests.converter import compare
from tests.converter.small_models import classifier, randomise, write


@pytest.mark.parametrize(
    "name, module, size, folded, scaling, megabytes",
    [
        ("Xception", "xception", 299, 40, Scaling.MERGED, 90),
        ("InceptionV3", "inception_v3", 299, 94, Scaling.MERGED, 92),
        # Its first convolution lies behind zero padding, which an offset cannot pass.
        ("ResNet101V2", "resnet_v2", 224, 66, Scaling.KEPT, 180),
    ],
)
def test_a_backbone_at_full_size(tmp_path, name, module, size, folded, scaling, megabytes):
    pixels = keras.Input((size, size, 3))
    base = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(size, size, 3))
    x = getattr(keras.applications, module).preprocess_input(pixels)
    model = randomise(keras.Model(pixels, classifier(base(x, training=False), 4)))
    source = write(tmp_path, model)
    job = Job(source, source.with_suffix(".json"), tmp_path / "models")
    report = convert(job)
    assert (report.folded, report.scaling, report.metadata.explains) == (folded, scaling, True)
    assert report.size <= megabytes * 1e6
    images = compare.synthetic_images(size, size, count=2)
    answers = compare.by_openvino(job.target, images)
    np.testing.assert_allclose(answers["probabilities"], compare.by_keras(model, images), atol=compare.TOLERANCE)
