"""What a network costs: products counted by hand, and times from a model server that really runs."""

from pathlib import Path
from shutil import copytree

import keras
import pytest
import tensorflow as tf
from keras import layers

from brain_tumor.contract import METADATA_ASSET, MODEL_NAME
from brain_tumor.metadata import ModelMetadata
from training import card, serving
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


def test_xceptions_are_the_published_ones() -> None:
    assert cost.multiplications(networks.build("Xception", 299, 4)) == pytest.approx(8.4, rel=0.01)


@pytest.fixture(scope="module")
def source(evaluated_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a model card."""
    folder = Path(copytree(evaluated_run, tmp_path_factory.mktemp("cost") / "run"))
    card.write(folder, None)
    return folder


@pytest.fixture(scope="module")
def version(source: Path) -> Path:
    return serving.convert(source / run.MODEL, source / "models")


def test_the_converted_model_describes_itself_with_the_whole_card(version: Path, source: Path) -> None:
    """What the run's card documents is in the SavedModel's assets and in the signature that the server answers."""
    told = run.read_metadata(source)
    kept = ModelMetadata.from_json((version / METADATA_ASSET).read_text())
    described = tf.saved_model.load(str(version)).signatures["describe"]()["card"].numpy().decode()
    assert told.documentation["intended_use"]
    for one in (kept, ModelMetadata.from_json(described)):
        assert (one.documentation, one.metrics, one.training) == (told.documentation, told.metrics, told.training)
        assert (one.name, one.temperature) == (MODEL_NAME, told.temperature)


def test_what_is_converted_already_is_not_converted_again(version: Path, source: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in version.rglob("*")}
    assert serving.convert(source / run.MODEL, source / "models") == version
    assert {path: path.stat().st_mtime_ns for path in version.rglob("*")} == before


def test_size_is_that_of_all_files(version: Path) -> None:
    weights = 4 * run.load_model(version.parents[2]).count_params() / 1e6
    assert weights < cost.size(version) < 1.5 * weights
    assert cost.size(version) == sum(path.stat().st_size for path in version.rglob("*") if path.is_file()) / 1e6


def test_a_image_takes_milliseconds_on_the_model_server(version: Path) -> None:
    assert 0.05 < cost.milliseconds(version, 32) < 1000


def test_a_image_that_the_server_refuses_ends_it(version: Path) -> None:
    with pytest.raises(serving.ServingError, match=r"the model server does not answer: INVALID_ARGUMENT"):
        cost.milliseconds(version, 31)


def test_what_the_converter_refuses_is_said_in_its_words(source: Path, tmp_path: Path) -> None:
    (tmp_path / run.MODEL).write_bytes(b"no model")
    (tmp_path / run.METADATA).write_bytes((source / run.METADATA).read_bytes())
    with pytest.raises(serving.ServingError, match=r"model\.keras cannot be converted: .*damaged or incomplete"):
        serving.convert(tmp_path / run.MODEL, tmp_path / "models")
    assert not (tmp_path / "models" / MODEL_NAME / "1").exists()
