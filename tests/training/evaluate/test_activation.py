import numpy as np
import pytest

from training.evaluate.activation import activation_maps
from training.train import networks
from training.train.recipes import ORIGINAL_HEAD


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


def test_a_map_s_mean_and_the_bias_are_the_logit(pixels: np.ndarray) -> None:
    model = networks.build("small", 32, 4)
    model.layers[-1].bias.assign([0.5, -1, 2, 0])
    maps = activation_maps(model, pixels)
    assert maps is not None
    assert (maps.shape, maps.dtype) == ((3, 2, 2, 4), np.float32)
    logits = model.predict(pixels, verbose=0)
    np.testing.assert_allclose(maps.mean((1, 2)) + model.layers[-1].get_weights()[1], logits, atol=1e-4)
    assert np.ptp(logits) > 0.1


def test_a_head_with_a_hidden_layer_has_none(pixels: np.ndarray) -> None:
    assert activation_maps(networks.build("small", 32, 4, head=ORIGINAL_HEAD), pixels) is None
