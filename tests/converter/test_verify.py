"""A SavedModel that does not answer as its Keras model does is refused."""

import dataclasses

import numpy as np
import pytest

from brain_tumor.card import Card
from converter.errors import ConversionError
from converter.fold import drop_inactive
from converter.graph import write_saved_model
from converter.head import find_head
from converter.program import flatten
from converter.verify import expected, made_pictures, verify
from tests.converter.small_models import CLASS_NAMES, SIZE, build_keras

CARD = Card(CLASS_NAMES, *SIZE, explains=True)


def head_of(model):
    return find_head(drop_inactive(flatten(model, *SIZE)))


@pytest.fixture
def pictures():
    return made_pictures(*SIZE)


@pytest.fixture
def truth(pictures):
    model = build_keras()
    return expected(model, head_of(model), "none", pictures)


def test_the_same_model_differs_by_rounding_alone(tmp_path, truth, pictures):
    head = head_of(build_keras())
    write_saved_model(tmp_path, head, CARD, keep_variables=False)
    assert verify(tmp_path, truth, head, CARD, pictures) < 1e-5


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
def test_a_model_with_other_weights_is_refused(tmp_path, truth, pictures, change, what):
    model = build_keras()
    change(model)
    head = head_of(model)
    write_saved_model(tmp_path, head, CARD, keep_variables=False)
    with pytest.raises(ConversionError, match=f"differ by .* in {what}, .* nothing was published"):
        verify(tmp_path, truth, head, CARD, pictures)


def test_maps_that_do_not_add_up_are_refused(tmp_path, truth, pictures):
    head = head_of(build_keras())
    before_relu = head.program.producer(head.features).args[0]
    write_saved_model(tmp_path, dataclasses.replace(head, features=before_relu), CARD, keep_variables=False)
    with pytest.raises(ConversionError, match="activation map"):
        verify(tmp_path, truth, head, CARD, pictures)


def test_another_card_is_refused(tmp_path, truth, pictures):
    head = head_of(build_keras())
    write_saved_model(tmp_path, head, CARD, keep_variables=False)
    with pytest.raises(ConversionError, match="describe itself"):
        verify(tmp_path, truth, head, dataclasses.replace(CARD, name="other"), pictures)


def test_the_wrong_scaling_is_noticed(tmp_path, pictures):
    model = build_keras()
    head = head_of(model)
    write_saved_model(tmp_path, head, CARD, keep_variables=False)
    with pytest.raises(ConversionError, match="probability"):
        verify(tmp_path, expected(model, head, "unit", pictures), head, CARD, pictures)


def test_made_pictures_use_the_whole_range_and_differ():
    pictures = made_pictures(20, 30)
    assert pictures.shape == (16, 20, 30, 3)
    assert pictures.dtype == np.uint8
    assert pictures.min() < 3 and pictures.max() > 252
    assert len({picture.tobytes() for picture in pictures}) == 16
