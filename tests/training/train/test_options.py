"""The configuration that follows from a recipe's name and the options of a run."""

import json
from dataclasses import replace

import pytest

from brain_tumor.metadata import ImageSpec
from training.train import networks
from training.train.options import Options, configure
from training.train.recipes import Augmentation, Phase


def test_the_original_recipe_is_that_of_the_notebook() -> None:
    original = configure("Xception", Options(recipe="original", weights="imagenet"))
    assert original.phases == (Phase("all", 10, 0.001, backbone=True, batch_normalization=True, cosine=False),)
    assert (original.batch_size, original.optimizer, original.head) == (32, "adamax", "original")
    assert original.augmentation == Augmentation(mirror=False, brightness=0.2)
    assert original.patience is None  # the last epoch is kept
    assert not original.ood_samples
    assert (original.label_smoothing, original.side, original.weights) == (0.0, 299, "imagenet")


def test_pretrained_weights_are_frozen_first_and_then_learn_slowly_without_batch_normalization() -> None:
    first, then = configure("Xception", Options(weights="imagenet")).phases
    assert (first.name, first.backbone, first.batch_normalization) == ("head", False, False)
    assert (then.name, then.backbone, then.batch_normalization) == ("all", True, False)
    assert then.learning_rate < first.learning_rate / 10
    assert first.cosine
    assert then.cosine


def test_random_weights_are_not_frozen() -> None:
    (only,) = configure("small", Options()).phases
    assert only.backbone
    assert only.batch_normalization


def test_options_replace_the_recipes_own_values() -> None:
    values = {"resampling": "box", "batch_size": 8, "label_smoothing": 0.1, "patience": 2}
    values |= {"precision": "mixed_bfloat16", "seed": 5, "split_seed": 6}
    options = Options(weights="imagenet", size=64, epochs=3, frozen_epochs=2, learning_rate=0.01, **values)
    configuration = configure("MobileNet", options)
    assert {name: getattr(configuration, name) for name in values} == values
    assert configuration.side == 64
    assert [phase.epochs for phase in configuration.phases] == [2, 3]
    assert [phase.learning_rate for phase in configuration.phases] == [0.001, 0.01]  # of the main phase
    assert configuration.epochs == 5


def test_without_options_the_recipes_own_values_hold() -> None:
    configuration = configure("EfficientNetB1", Options())
    assert (configuration.side, configuration.epochs, configuration.patience, configuration.seed) == (240, 30, 6, 0)
    assert configuration.ood_samples


def test_no_frozen_epochs_leave_the_first_phase_out() -> None:
    configuration = configure("MobileNet", Options(weights="imagenet", frozen_epochs=0))
    assert [phase.name for phase in configuration.phases] == ["all"]


def test_the_main_phase_is_changed_alone() -> None:
    configuration = configure("MobileNet", Options(weights="imagenet"))
    other = configuration.with_main_phase(learning_rate=0.5, epochs=7)
    first, main = configuration.phases
    assert other.phases == (first, replace(main, learning_rate=0.5, epochs=7))
    assert replace(other, phases=configuration.phases) == configuration


def test_configurations_survive_json() -> None:
    def document(**options: int) -> dict:
        return json.loads(json.dumps(configure("MobileNet", Options(weights="imagenet", **options)).as_json()))

    again = document()
    assert again == document()
    assert again != document(seed=1)
    assert again["phases"][0]["name"] == "head"
    assert again["augmentation"]["rotation"] == 8


def test_the_json_that_identifies_a_run_has_these_keys() -> None:
    """A run that an earlier version of the program began is continued only if they stay."""
    assert set(configure("small", Options()).as_json()) == {
        *("model", "weights", "recipe", "head", "side", "resampling", "phases", "optimizer", "batch_size"),
        *("augmentation", "label_smoothing", "patience", "ood_samples", "precision", "seed", "split_seed"),
    }


def test_new_options_are_in_the_json_of_the_runs_that_use_them() -> None:
    documents = [configure("small", options).as_json() for options in (Options(), Options(crop_to_head=True))]
    assert documents[1] == documents[0] | {"crop_to_head": True}


def test_the_images_are_as_the_options_say() -> None:
    options = Options(resampling="box", color_mode="bgr", crop_to_head=True, pad_to_aspect_ratio=True, size=64)
    expected = ImageSpec(64, 64, "box", "bgr", crop_to_head=True, pad_to_aspect_ratio=True)
    assert configure("small", options).image == expected


def test_a_misspelt_model_is_refused() -> None:
    with pytest.raises(networks.NetworkError, match="no model Xcepton; did you mean Xception"):
        configure("Xcepton", Options())
