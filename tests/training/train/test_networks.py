"""The networks by name: the scaling of their pixels, their heads, what learns in them, and what cannot be built."""

import importlib

import keras
import numpy as np
import pytest

from training.train import networks
from training.train.recipes import ORIGINAL_HEAD, PLAIN_HEAD


def preprocess_input(name: str):
    """keras.applications' own preprocessing for a backbone."""
    return importlib.import_module(getattr(keras.applications, name).__module__).preprocess_input


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", [name for name in networks.names() if name != networks.SMALL])
def test_every_backbone_gets_its_own_scaling(name: str, pixels: np.ndarray) -> None:
    inputs = keras.Input((8, 8, 3))
    scaling = keras.Model(inputs, networks.scaled(name, inputs))
    expected = preprocess_input(name)(pixels.astype(np.float32))
    np.testing.assert_allclose(scaling(pixels.astype(np.float32)), expected, rtol=1e-5, atol=1e-4)


def test_the_backbones_include_those_the_project_compares() -> None:
    assert {"small", "Xception", "InceptionV3", "ResNet101V2"} <= set(networks.names())


def test_the_small_network_takes_uint8_as_float32() -> None:
    model = networks.build("small", 32, 4)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(model.predict(pixels, verbose=0), model.predict(pixels.astype("float32"), verbose=0))


def test_the_small_network_is_small_and_made_of_stock_layers() -> None:
    model = networks.build("small", 128, 4)
    assert model.count_params() * 4 < 3_000_000
    assert {type(layer).__name__ for layer in model.layers} == {
        *("InputLayer", "Rescaling", "Conv2D", "BatchNormalization", "ReLU"),
        *("GlobalAveragePooling2D", "Dropout", "Dense"),
    }
    assert type(model.layers[1]) is keras.layers.Rescaling


@pytest.mark.parametrize(("name", "side"), [("small", 32), ("MobileNetV2", 32), ("ResNet50", 32)])
def test_the_head_makes_activation_maps_exact(name: str, side: int) -> None:
    model = networks.build(name, side, 3)
    assert [type(layer).__name__ for layer in model.layers[-3:]] == ["GlobalAveragePooling2D", "Dropout", "Dense"]
    features = keras.Model(model.input, model.layers[-3].input)
    pixels = np.random.default_rng(0).integers(0, 256, (2, side, side, 3)).astype("float32")
    kernel, bias = model.layers[-1].get_weights()
    maps = np.einsum("bhwc,ck->bhwk", features.predict(pixels, verbose=0), kernel)
    np.testing.assert_allclose(maps.mean((1, 2)) + bias, model.predict(pixels, verbose=0), rtol=1e-3, atol=1e-4)


def test_an_unknown_model_is_refused_with_suggestions() -> None:
    with pytest.raises(networks.NetworkError, match=r"no model xceptoin; did you mean Xception"):
        networks.build("xceptoin", 71, 4)


def test_an_image_too_small_for_a_backbone_is_refused() -> None:
    with pytest.raises(networks.NetworkError, match="InceptionV3 cannot be built"):
        networks.build("InceptionV3", 32, 4)


@pytest.mark.parametrize("name", ["Xception", "EfficientNetB1"])
def test_a_backbone_gets_images_of_the_size_it_is_made_for(name: str) -> None:
    assert getattr(keras.applications, name)(weights=None).input_shape[1] == networks.default_side(name)


@pytest.mark.parametrize(
    ("name", "side"), [("small", 128), ("Xception", 299), ("ResNet101V2", 224), ("MobileNet", 224)]
)
def test_the_size_is_known_before_anything_is_built(name: str, side: int) -> None:
    assert networks.default_side(name) == side


def test_the_small_network_has_no_pretrained_weights() -> None:
    with pytest.raises(networks.NetworkError, match="small has no pretrained weights: use --weights none, or a back"):
        networks.build("small", 32, 4, "imagenet")


@pytest.mark.parametrize(("head", "layers"), [(PLAIN_HEAD, 3), (ORIGINAL_HEAD, 5)])
def test_a_head_gives_float32_logits_whatever_the_precision(head: str, layers: int) -> None:
    model = networks.build("small", 32, 4, head=head, precision="mixed_float16")
    assert model.output.dtype == "float32"
    assert model.output.shape == (None, 4)
    assert model.layers[-1].activation is keras.activations.linear
    assert model.layers[-layers].name == "pool"
    assert keras.config.dtype_policy().name == "float32"  # as before


def test_a_network_that_cannot_be_built_leaves_the_precision_as_it_was() -> None:
    with pytest.raises(networks.NetworkError):
        networks.build("InceptionV3", 32, 4, precision="mixed_bfloat16")
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("head", [PLAIN_HEAD, ORIGINAL_HEAD])
def test_what_learns_can_be_said_layer_by_layer(head: str) -> None:
    model = networks.build("small", 32, 4, head=head)
    dense = 1 if head == PLAIN_HEAD else 2
    networks.set_trainable(model, backbone=False, batch_normalization=False)
    assert len(model.trainable_weights) == 2 * dense
    networks.set_trainable(model, backbone=True, batch_normalization=False)
    assert len(model.trainable_weights) == 7 + 2 * dense  # seven convolutions without bias
    networks.set_trainable(model, backbone=True, batch_normalization=True)
    assert len(model.trainable_weights) == 7 + 2 * 7 + 2 * dense


@pytest.mark.parametrize("name", ["small", "MobileNetV3Small"])
def test_moving_averages_of_random_networks_keep_up(name: str) -> None:
    model = networks.build(name, 64, 4)
    momenta = {layer.momentum for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}
    assert momenta == {0.9}
