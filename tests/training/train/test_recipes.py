"""What learns in each phase of a recipe, on a real backbone with random weights."""

import keras
import numpy as np
import pytest

from tests.training.configurations import SIDE, configuration
from training.train import networks
from training.train.fit import compile_for

CLASSES = 3


def test_the_original_head_is_that_of_the_notebook() -> None:
    head = networks.build("small", SIDE, CLASSES, head="original").layers[-5:]
    assert [type(layer).__name__ for layer in head] == ["GlobalMaxPooling2D", "Dropout", "Dense", "Dropout", "Dense"]
    assert (head[1].rate, head[3].rate) == (0.3, 0.25)
    assert (head[2].units, head[2].activation.__name__) == (128, "relu")
    assert (head[4].units, head[4].activation.__name__) == (CLASSES, "linear")


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
    options = configuration("MobileNet", recipe=recipe, weights=weights)
    compile_for(model, options, options.phases[phase], steps=10)
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
    options = configuration(recipe=recipe, epochs=4, learning_rate=0.001)
    model = networks.build("small", SIDE, CLASSES, head=options.head)
    compile_for(model, options, options.main_phase, steps=25)
    rates = []
    for step in (0, 50, 100):
        model.optimizer.iterations.assign(step)
        rates.append(float(model.optimizer.learning_rate))
    np.testing.assert_allclose(rates, [0.001, (0.001 + end) / 2, end], rtol=1e-5, atol=1e-9)
