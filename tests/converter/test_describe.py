"""A first description says what is certain, and calls a guess a guess."""

import json

import keras
import pytest
from keras import layers

from converter.__main__ import main
from converter.read.backbones import backbone
from converter.read.description import default_path
from tests.converter.small_models import build_keras


def describe(tmp_path, capsys, model):
    model.save(tmp_path / "mine.keras")
    assert main([str(tmp_path / "mine.keras"), "--describe"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    certain, guessed = printed.out.split("to check:")
    return json.loads((tmp_path / "mine.json").read_text()), certain, guessed


def test_a_model_that_scales_inside(tmp_path, capsys):
    document, certain, guessed = describe(tmp_path, capsys, build_keras())
    assert document == {
        "class_names": ["class 1", "class 2", "class 3", "class 4"],
        "scaling": "none",
        "image": {"height": 32, "width": 40, "resampling": "bilinear"},
    }
    assert "scaling: none, the model scales inside" in certain
    assert f"format: .keras of Keras {keras.__version__}" in certain
    assert "class_names: placeholders" in guessed
    assert main([str(tmp_path / "mine.keras"), str(tmp_path / "models")]) == 0
    assert "class_names are placeholders" in capsys.readouterr().err


def test_a_backbone_is_recognised(tmp_path, capsys):
    backbone = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.25)
    model = keras.Sequential([backbone, layers.GlobalAveragePooling2D(), layers.Dense(1, "sigmoid")])
    document, _, guessed = describe(tmp_path, capsys, model)
    assert (document["scaling"], len(document["class_names"])) == ("tf", 2)
    assert "scaling: tf, what MobileNet of keras.applications expects" in guessed


def test_several_outputs_and_any_size(tmp_path, capsys):
    pixels = keras.Input((None, None, 1))
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(pixels))
    outputs = [layers.Dense(units, "softmax", name=name)(features) for name, units in (("side", 2), ("tumour", 4))]
    document, _, guessed = describe(tmp_path, capsys, keras.Model(pixels, outputs))
    assert document["source"] == {"output": "tumour"}
    assert document["image"]["height"] == 224
    assert "source.output: tumour, of side, tumour" in guessed
    assert "the model takes images of any size" in guessed


@pytest.mark.parametrize(
    "network, family",
    [("Xception", "Xception"), ("ResNet50", "ResNet"), ("ResNet50V2", "ResNetV2"), ("DenseNet121", "DenseNet")],
)
def test_families_are_told_apart(network, family):
    built = getattr(keras.applications, network)(include_top=False, weights=None, input_shape=(71, 71, 3))
    assert backbone(layer.name for layer in built.layers).name == family


def test_where_a_description_is(tmp_path, monkeypatch):
    folder = tmp_path / "model.v1"
    folder.mkdir()
    assert default_path(tmp_path / "best.h5") == tmp_path / "best.json"
    assert default_path(folder) == tmp_path / "model.v1.json"
    monkeypatch.chdir(folder)
    assert default_path(folder.relative_to(folder)) == tmp_path / "model.v1.json"


@pytest.mark.parametrize("arguments", [["model.keras"], ["model.keras", "out", "--describe"]])
def test_usage(arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
