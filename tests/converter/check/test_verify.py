"""A SavedModel whose outputs differ from those of its Keras model is refused."""

import dataclasses

import numpy as np
import pytest

from brain_tumor.metadata import ImageSpec, ModelMetadata
from converter.check.verify import expected_outputs, synthetic_images, verify
from converter.errors import ConversionError
from converter.read.network import KerasNetwork
from converter.write.saved_model import write_saved_model
from tests.converter.small_models import CLASS_NAMES, SIZE, build_keras

METADATA = ModelMetadata(CLASS_NAMES, ImageSpec(*SIZE), explains=True)


def head_of(model):
    return KerasNetwork(model, {}).head(*SIZE)


def outputs_of(model, images, scaling="none"):
    return expected_outputs(KerasNetwork(model, {}), head_of(model), scaling, images)


@pytest.fixture
def images():
    return synthetic_images(*SIZE)


@pytest.fixture
def expected(images):
    return outputs_of(build_keras(), images)


def test_the_same_model_differs_by_rounding_alone(tmp_path, expected, images):
    head = head_of(build_keras())
    write_saved_model(tmp_path, head, METADATA)
    assert verify(tmp_path, expected, head, METADATA, images) < 1e-5


def bend_kernel(model):
    kernel = model.layers[2].kernel
    change = np.ones(kernel.shape)
    change[0, 0, 0] = 1.01
    kernel.assign(kernel * change)


def move_all_logits(model):
    """Changes no probability, only the energy."""
    model.layers[-1].bias.assign(model.layers[-1].bias + 0.1)


def swap_classes(model):
    model.layers[-1].kernel.assign(np.asarray(model.layers[-1].kernel)[:, ::-1])


@pytest.mark.parametrize(
    "change, what", [(bend_kernel, "probability"), (move_all_logits, "energy"), (swap_classes, "probability")]
)
def test_a_model_with_other_weights_is_refused(tmp_path, expected, images, change, what):
    model = build_keras()
    change(model)
    head = head_of(model)
    write_saved_model(tmp_path, head, METADATA)
    with pytest.raises(ConversionError, match=f"differ by .* in {what}, .* nothing was published"):
        verify(tmp_path, expected, head, METADATA, images)


def test_maps_that_do_not_add_up_are_refused(tmp_path, expected, images):
    head = head_of(build_keras())
    before_relu = head.graph.producer(head.features).args[0]
    write_saved_model(tmp_path, dataclasses.replace(head, features=before_relu), METADATA)
    with pytest.raises(ConversionError, match="activation map"):
        verify(tmp_path, expected, head, METADATA, images)


def test_another_metadata_is_refused(tmp_path, expected, images):
    head = head_of(build_keras())
    write_saved_model(tmp_path, head, METADATA)
    with pytest.raises(ConversionError, match="describe itself"):
        verify(tmp_path, expected, head, dataclasses.replace(METADATA, name="other"), images)


def test_the_wrong_scaling_is_noticed(tmp_path, images):
    model = build_keras()
    head = head_of(model)
    write_saved_model(tmp_path, head, METADATA)
    with pytest.raises(ConversionError, match="probability"):
        verify(tmp_path, outputs_of(model, images, "unit"), head, METADATA, images)


def test_logits_too_large_for_float32_point_to_the_scaling(tmp_path, images):
    model = build_keras()
    expected = outputs_of(model, images)
    model.layers[-1].kernel.assign(model.layers[-1].kernel * 1e4)
    head = head_of(model)
    write_saved_model(tmp_path, head, METADATA)
    far_off = dataclasses.replace(expected, logits=expected.logits * 1e4)
    with pytest.raises(ConversionError, match=r"logits reach \d+: is the scaling right\?"):
        verify(tmp_path, far_off, head, METADATA, images)


def test_synthetic_images_use_the_whole_range_and_differ():
    images = synthetic_images(20, 30)
    assert images.shape == (16, 20, 30, 3)
    assert images.dtype == np.uint8
    assert images.min() < 3 and images.max() > 252
    assert len({image.tobytes() for image in images}) == 16
