"""What a recipe's name stands for, and what learns in each of its phases, on a real backbone with random weights."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from training.train import networks, recipes
from training.train.fit import compile_for
from training.train.recipes import Augmentation, Phase

SIDE = 32
CLASSES = 3


def test_the_original_recipe_is_that_of_the_notebook() -> None:
    made = recipes.options("original", "Xception", "imagenet")
    assert made.phases == (Phase("all", 10, 0.001, backbone=True, batch_normalization=True, cosine=False),)
    assert (made.batch_size, made.optimizer, made.head) == (32, "adamax", "original")
    assert made.augmentation == Augmentation(mirror=False, brightness=0.2)
    assert made.patience is None  # the last epoch is kept
    assert not made.outliers
    assert (made.label_smoothing, made.side, made.weights) == (0.0, 299, "imagenet")


def test_the_original_head_is_that_of_the_notebook() -> None:
    head = networks.build("small", SIDE, CLASSES, head="original").layers[-5:]
    assert [type(layer).__name__ for layer in head] == ["GlobalMaxPooling2D", "Dropout", "Dense", "Dropout", "Dense"]
    assert (head[1].rate, head[3].rate) == (0.3, 0.25)
    assert (head[2].units, head[2].activation.__name__) == (128, "relu")
    assert (head[4].units, head[4].activation.__name__) == (CLASSES, "linear")


def test_pretrained_weights_are_frozen_first_and_then_learn_slowly_without_batch_normalization() -> None:
    first, then = recipes.options("two-phase", "Xception", "imagenet").phases
    assert (first.name, first.backbone, first.batch_normalization) == ("head", False, False)
    assert (then.name, then.backbone, then.batch_normalization) == ("all", True, False)
    assert then.learning_rate < first.learning_rate / 10
    assert first.cosine
    assert then.cosine


def test_random_weights_are_not_frozen() -> None:
    (only,) = recipes.options("two-phase", "small", None).phases
    assert only.backbone
    assert only.batch_normalization


def test_what_is_asked_for_replaces_the_recipes_own() -> None:
    asked = {"side": 64, "resampling": "box", "batch_size": 8, "label_smoothing": 0.1, "patience": 2}
    asked |= {"precision": "mixed_bfloat16", "seed": 5, "split_seed": 6}
    made = recipes.options("two-phase", "MobileNet", "imagenet", epochs=3, frozen_epochs=2, learning_rate=0.01, **asked)
    assert {name: getattr(made, name) for name in asked} == asked
    assert [phase.epochs for phase in made.phases] == [2, 3]
    assert [phase.learning_rate for phase in made.phases] == [0.001, 0.01]  # of the main phase
    assert made.epochs == 5


def test_what_is_not_asked_for_is_the_recipes_own() -> None:
    made = recipes.options("two-phase", "EfficientNetB1", None)
    assert (made.side, made.epochs, made.patience, made.seed) == (240, 30, 6, 0)
    assert made.outliers


def test_no_frozen_epochs_leave_the_first_phase_out() -> None:
    made = recipes.options("two-phase", "MobileNet", "imagenet", frozen_epochs=0)
    assert [phase.name for phase in made.phases] == ["all"]


def test_the_search_changes_the_main_phase_alone() -> None:
    made = recipes.options("two-phase", "MobileNet", "imagenet")
    other = recipes.with_epochs(recipes.with_learning_rate(made, 0.5), 7)
    assert other.phases == (made.phases[0], replace(made.phases[1], learning_rate=0.5, epochs=7))
    assert replace(other, phases=made.phases) == made


def test_options_survive_json() -> None:
    made = recipes.options("two-phase", "MobileNet", "imagenet")
    again = json.loads(json.dumps(made.as_json()))
    assert again == json.loads(json.dumps(recipes.options("two-phase", "MobileNet", "imagenet").as_json()))
    assert again != json.loads(json.dumps(recipes.options("two-phase", "MobileNet", "imagenet", seed=1).as_json()))
    assert again["phases"][0]["name"] == "head"
    assert again["augmentation"]["rotation"] == 8


def test_a_misspelt_model_is_refused() -> None:
    with pytest.raises(networks.NetworkError, match="no model Xcepton; did you mean Xception"):
        recipes.options("two-phase", "Xcepton", None)


@pytest.fixture(scope="module")
def backbone() -> keras.Model:
    """Its moving averages are those of its last batch, as if it were trained: else random layers give nearly zero."""
    keras.utils.set_random_seed(0)
    model = networks.build("MobileNet", SIDE, CLASSES)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(np.random.default_rng(1).integers(0, 256, (16, SIDE, SIDE, 3)).astype(np.float32), training=True)
    return model


def changed_by_a_step(model: keras.Model, recipe: str, weights: str | None, phase: int) -> dict[str, bool]:
    """Whether one batch of a recipe's phase changes each of the weights, by their paths."""
    made = recipes.options(recipe, "MobileNet", weights)
    compile_for(model, made, made.phases[phase], steps=10)
    model.run_eagerly = True  # one step is not worth a graph
    before = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, SIDE, SIDE, 3), dtype=np.uint8)
    model.train_on_batch(pixels, np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, 6)])
    return {w.path: not np.array_equal(before[w.path], keras.ops.convert_to_numpy(w)) for w in model.weights}


def test_while_the_backbone_is_frozen_the_head_alone_learns(backbone: keras.Model) -> None:
    changed = changed_by_a_step(backbone, "two-phase", "imagenet", phase=0)
    assert {path for path, yes in changed.items() if yes} == {"logits/kernel", "logits/bias"}
    assert len(backbone.trainable_weights) == 2


def test_fine_tuning_leaves_batch_normalization_and_its_statistics_alone(backbone: keras.Model) -> None:
    changed = changed_by_a_step(backbone, "two-phase", "imagenet", phase=1)
    normalization = {
        weight.path
        for layer in backbone.layers
        if isinstance(layer, keras.layers.BatchNormalization)
        for weight in layer.weights
    }
    assert len(normalization) == 4 * 27
    assert not any(changed[path] for path in normalization)
    kernels = [path for path in changed if path.endswith("kernel")]
    assert len(kernels) == 28
    assert all(changed[path] for path in kernels)


def test_the_original_recipe_learns_everything_at_once(backbone: keras.Model) -> None:
    changed = changed_by_a_step(backbone, "original", "imagenet", phase=0)
    assert changed["conv1_bn/moving_mean"]
    assert changed["conv1_bn/gamma"]
    assert changed["conv1/kernel"]
    assert changed["logits/kernel"]


def test_a_scaling_with_weights_never_learns() -> None:
    model = networks.build("ResNet50", SIDE, CLASSES)
    networks.set_trainable(model, backbone=True, batch_normalization=True)
    assert not model.get_layer("scale").trainable_weights
    assert len(model.get_layer("scale").weights) == 2


@pytest.mark.parametrize(("recipe", "end"), [("two-phase", 0.0), ("original", 0.001)])
def test_the_learning_rate_falls_along_a_cosine_to_nothing_or_stays(recipe: str, end: float) -> None:
    made = recipes.options(recipe, "small", None, side=SIDE, epochs=4, learning_rate=0.001)
    model = networks.build("small", SIDE, CLASSES, head=made.head)
    compile_for(model, made, made.phases[-1], steps=25)
    rates = []
    for step in (0, 50, 100):
        model.optimizer.iterations.assign(step)
        rates.append(float(model.optimizer.learning_rate))
    np.testing.assert_allclose(rates, [0.001, (0.001 + end) / 2, end], rtol=1e-5, atol=1e-9)
