"""Files of every Keras 3 are loaded, whatever their suffix; what is code in them is never run.

Older files are made here by writing into a new one what an older Keras wrote. tests/integration has real ones.
"""

import json
import re
import zipfile

import keras
import numpy as np
import pytest
from keras import layers

from converter.errors import ConversionError
from converter.read.load import read_network
from converter.read.model_file import look_at
from converter.read.network import Selection
from tests.converter.small_models import build_keras, randomise

PIXELS = np.random.default_rng(0).uniform(0, 255, (3, 32, 40, 3)).astype(np.float32)


def nested(augmentation=False):
    """A backbone in a Sequential, as in most notebooks: its nested output is what older versions wrote as a list."""
    pixels = keras.Input((32, 40, 3))
    backbone = keras.Model(pixels, layers.GlobalMaxPooling2D()(layers.Conv2D(6, 3)(pixels)), name="backbone")
    inactive = [layers.RandomRotation(0.1), layers.GaussianNoise(0.5)] if augmentation else []
    end = [layers.Flatten(), layers.Dropout(0.5), layers.Dense(4, "softmax")]
    return randomise(keras.Sequential([keras.Input((32, 40, 3)), *inactive, backbone, *end]))


def rewritten(path, change, **metadata):
    """The archive with its configuration's JSON text changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    text = members["config.json"].decode()
    members["config.json"] = change(text).encode()
    assert change is same or members["config.json"].decode() != text
    members["metadata.json"] = json.dumps(json.loads(members["metadata.json"]) | metadata).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def same(text):
    return text


def read(path, **named):
    return read_network(look_at(path), Selection(**named))


def saved(tmp_path, model, name="model.keras"):
    path = tmp_path / name
    model.save(path)
    return path


def assert_same_predictions(path, model):
    expected = np.asarray(model(PIXELS, training=False))
    assert np.ptp(expected, 0).max() > 0.1
    np.testing.assert_allclose(np.asarray(read(path).predict(PIXELS)), expected, atol=1e-6)


def test_a_nested_models_only_output_as_keras_before_3_11_wrote_it(tmp_path):
    path = rewritten(
        saved(tmp_path, nested()),
        lambda text: re.sub(r'"(input|output)_layers": (\["\w+", 0, 0\])', r'"\1_layers": [\2]', text),
        keras_version="3.3.3",
    )
    with pytest.raises(AttributeError, match="Flatten"):
        keras.saving.load_model(path, compile=False)  # else the test would show nothing
    assert_same_predictions(path, nested())
    assert read(path).origin == {"format": ".keras", "keras": "3.3.3"}
    assert read(path).head(32, 40).graph


def test_arguments_that_another_version_had_of_layers_that_do_nothing(tmp_path):
    path = rewritten(
        saved(tmp_path, nested(augmentation=True)),
        lambda text: text.replace('"name": "random_rotation', '"value_range": [0, 255], "name": "random_rotation'),
    )
    with pytest.raises(TypeError, match="value_range"):
        keras.saving.load_model(path, compile=False)
    assert_same_predictions(path, nested(augmentation=True))


@pytest.mark.parametrize("augmentation", [False, True])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_hdf5_under_any_name(tmp_path, augmentation):
    model = nested(augmentation)
    path = saved(tmp_path, model, "model.h5").rename(tmp_path / "model.keras")
    assert_same_predictions(path, model)
    assert read(path).origin["format"] == "HDF5"


def test_an_archive_under_another_name(tmp_path):
    model = build_keras()
    assert_same_predictions(saved(tmp_path, model).rename(tmp_path / "model.h5"), model)


def test_an_unpacked_archive(tmp_path):
    model = build_keras()
    with zipfile.ZipFile(saved(tmp_path, model)) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert_same_predictions(tmp_path / "unpacked", model)


def test_a_fixed_number_of_images(tmp_path):
    pixels = keras.Input((32, 40, 3), batch_size=16)
    model = keras.Model(
        pixels, layers.Dense(4, "softmax")(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(pixels)))
    )
    assert read(saved(tmp_path, model)).predict(PIXELS).shape == (3, 4)


def test_a_file_of_a_newer_keras_is_tried(tmp_path):
    path = rewritten(saved(tmp_path, build_keras()), same, keras_version="99.1.0")
    assert_same_predictions(path, build_keras())
    path = rewritten(path, lambda text: text.replace('"ReLU"', '"Glow"'))
    with pytest.raises(
        ConversionError, match=r"custom layer or function, Glow|written by Keras 99.1.0, which is newer"
    ):
        read(path)
    path = rewritten(path, lambda text: text.replace('"Glow"', '"ReLU"').replace('"filters"', '"kernels"'))
    with pytest.raises(ConversionError, match=f"written by Keras 99.1.0, which is newer than {keras.__version__}"):
        read(path)


def with_lambda(function):
    pixels = keras.Input((32, 40, 3))
    x = layers.Lambda(function)(pixels)
    return keras.Model(pixels, layers.Dense(4, "softmax")(layers.GlobalAveragePooling2D()(x)))


def preprocess_input(x):
    return x / 127.5 - 1


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_lambda_layer_is_never_run(tmp_path, name):
    trace = tmp_path / "ran"
    model = with_lambda(eval(f"lambda x: (__import__('pathlib').Path({str(trace)!r}).touch(), x)[1]"))
    trace.unlink()
    path = saved(tmp_path, model, name)
    with pytest.raises(ConversionError, match="holds a Lambda layer, which is code and not loaded; build"):
        read(path)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_preprocess_input_as_a_lambda_layer(tmp_path, name):
    with pytest.raises(ConversionError, match=r"Lambda\(preprocess_input\); save the model without this layer"):
        read(saved(tmp_path, with_lambda(preprocess_input), name))


def two_heads():
    pixels = keras.Input((32, 40, 3), name="scan")
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(pixels))
    outputs = [layers.Dense(units, "softmax", name=name)(features) for name, units in (("side", 2), ("tumour", 4))]
    return keras.Model(pixels, outputs)


def test_one_of_several_outputs_is_named(tmp_path):
    model = two_heads()
    path = saved(tmp_path, model)
    network = read(path, output="tumour")
    assert (network.outputs, network.head(32, 40).output) == (4, "softmax")
    np.testing.assert_allclose(network.predict(PIXELS), model(PIXELS)[1], atol=1e-6)
    for named in ({}, {"output": "tumor"}):
        with pytest.raises(ConversionError, match=r"outputs side, tumour; name one under source.output"):
            read(path, **named)
    with pytest.raises(ConversionError, match=r"source.signature is for a SavedModel"):
        read(path, output="tumour", signature="serving_default")


def test_an_input_that_the_output_does_not_need(tmp_path):
    scan, age = keras.Input((32, 40, 3), name="scan"), keras.Input((1,), name="age")
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(scan))
    alone = layers.Dense(4, "softmax", name="tumour")(features)
    both = layers.Dense(2, "softmax", name="risk")(layers.Concatenate()([features, age]))
    path = saved(tmp_path, keras.Model([scan, age], [alone, both]))
    assert read(path, input="scan", output="tumour").predict(PIXELS).shape == (3, 4)
    with pytest.raises(ConversionError, match=r"takes 2 inputs \(scan, age\), and one image is all"):
        read(path, input="scan", output="risk")
