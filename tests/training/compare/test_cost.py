"""The cost of a network: products counted by hand, and times from a model server that really runs."""

from pathlib import Path

import keras
import pytest
from keras import layers

from training import serving
from training.compare import cost
from training.train import networks, run


def network(*stack: layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((12, 10, 3)), *stack])


@pytest.mark.parametrize(
    ("stack", "products"),
    [
        ([layers.Conv2D(8, 3, padding="same")], 12 * 10 * 9 * 3 * 8),
        ([layers.Conv2D(8, 3, strides=2)], 5 * 4 * 9 * 3 * 8),
        ([layers.Conv2D(6, 3, groups=3, padding="same")], 12 * 10 * 9 * 1 * 6),
        ([layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")], 12 * 10 * 9 * 3 * 2),
        ([layers.SeparableConv2D(8, 5, padding="same")], 12 * 10 * (25 * 3 + 3 * 8)),
        ([layers.Flatten(), layers.Dense(7)], 360 * 7),
        ([layers.Dense(7)], 12 * 10 * 3 * 7),  # on each pixel
        ([layers.BatchNormalization(), layers.ReLU(), layers.GlobalAveragePooling2D()], 0),
        ([network(layers.Conv2D(8, 3)), layers.GlobalAveragePooling2D(), layers.Dense(4)], 10 * 8 * 9 * 3 * 8 + 8 * 4),
    ],
)
def test_products_are_those_counted_by_hand(stack: list[layers.Layer], products: int) -> None:
    assert cost.multiplications(network(*stack)) == pytest.approx(products / 1e9)


def test_xceptions_products_are_those_of_its_paper() -> None:
    assert cost.multiplications(networks.build("Xception", 299, 4)) == pytest.approx(8.4, rel=0.01)


def test_size_is_that_of_all_files(converted: Path) -> None:
    weights = 4 * run.load_model(converted.parents[2]).count_params() / 1e6
    assert weights < cost.size(converted) < 1.5 * weights
    assert cost.size(converted) == sum(path.stat().st_size for path in converted.rglob("*") if path.is_file()) / 1e6


def test_an_image_takes_milliseconds_on_the_model_server(converted: Path) -> None:
    assert 0.05 < cost.milliseconds(converted, 32) < 1000


def test_an_image_that_the_server_refuses_ends_it(converted: Path) -> None:
    with pytest.raises(serving.ServingError, match=r"the model server gives no prediction: INVALID_ARGUMENT"):
        cost.milliseconds(converted, 31)
