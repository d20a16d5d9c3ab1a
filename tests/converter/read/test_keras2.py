"""Models that Keras 2 wrote are served as they compute, and none runs code while it is loaded."""

import json
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf

from brain_tumor.processes import ROOT
from converter.errors import ConversionError, SeveralError
from converter.quiet import quiet
from converter.read.keras2 import TF_KERAS
from converter.read.load import read_network
from converter.read.model_file import look_at
from converter.read.network import Selection
from tests.converter.served import serve

with quiet():
    import tf_keras
    from tf_keras import layers

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(0, 255, (3, 16, 20, 3)).astype(np.float32)


def build(
    end=lambda x: layers.Dense(4, "softmax", dtype="float32")(x), size=(16, 20, 3), between=lambda x: x, **options
):
    """A small convolutional network with weights that matter."""
    pixels = tf_keras.Input(size, **options)
    x = layers.Rescaling(1 / 255)(pixels)
    x = layers.SeparableConv2D(6, 3, use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(between(x)))
    model = tf_keras.Model(pixels, end(layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))))
    random = np.random.default_rng(0)
    model.set_weights(
        [
            random.uniform(0.5, 1.5, weight.shape) if weight.ndim == 1 else random.normal(0, 1, weight.shape)
            for weight in model.get_weights()
        ]
    )
    images = random.uniform(0, 255, (4, *IMAGES.shape[1:3], size[-1])) * np.linspace(0.3, 1, 4)[:, None, None, None]
    for layer in model.layers:
        if isinstance(layer, layers.Dense):  # its outputs must differ between images
            outputs = np.float32(tf_keras.Model(model.input, layer.input)(images)) @ np.float32(layer.kernel)
            factor = 1.5 / np.std(outputs, 0).mean()
            layer.set_weights([np.float32(layer.kernel) * factor, -np.mean(outputs, 0) * factor])
    return model


def read(path, **named):
    return read_network(look_at(path), Selection(**named))


def save(path, model):
    with quiet():
        model.save(path)
    return path


def rewrite(path, change):
    """Change the configuration in an HDF5 file."""
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(change(json.loads(file.attrs["model_config"])))
    return path


@pytest.mark.parametrize(
    "saved, name, written",
    [
        ("model.h5", "model.keras", "HDF5"),
        ("model.keras", "model", ".keras"),
        ("model.keras", "unpacked", ".keras, unpacked"),
    ],
)
def test_every_format_whatever_its_name(tmp_path, saved, name, written):
    model = build()
    path = save(tmp_path / saved, model)
    if name == "unpacked":
        zipfile.ZipFile(path).extractall(tmp_path / name)
        path = tmp_path / name
    else:
        path = path.rename(tmp_path / name)
    network = read(path)
    assert (network.height, network.width, network.channels, network.outputs) == (16, 20, 3, 4)
    assert network.origin == {"format": written, "keras": "2.20.1"}
    np.testing.assert_allclose(network.predict(IMAGES), model(IMAGES, training=False), atol=1e-6)
    served = serve(tmp_path / "served", network)
    assert served.head.explains and served.head.scales


@pytest.mark.parametrize(
    "model",
    [
        build(lambda x: layers.Dense(1, "sigmoid")(x)),
        build(size=(16, 20, 1)),
        build(size=(None, None, 3)),
        build(batch_size=5),
        build(between=lambda x: tf.nn.relu(x) * 2 + x[:, :, ::-1]),
        build(lambda x: layers.Average()([layers.Dense(4, "softmax")(x), layers.Dense(4, "softmax")(x)])),
    ],
    ids=["sigmoid", "grey", "any size", "fixed batch", "functions of TensorFlow", "average"],
)
def test_it_is_served_as_it_computes(tmp_path, model):
    serve(tmp_path / "served", read(save(tmp_path / "model.h5", model)))


def test_batch_normalization_first_is_no_scaling(tmp_path):
    pixels = tf_keras.Input((16, 20, 3))
    x = layers.Conv2D(4, 3)(layers.ZeroPadding2D()(layers.BatchNormalization()(pixels)))
    model = tf_keras.Model(pixels, layers.Dense(4, "softmax")(layers.GlobalAveragePooling2D()(x)))
    assert read(save(tmp_path / "model.h5", model)).head(16, 20).scales is False


@pytest.mark.parametrize("policy", ["mixed_float16", "float16"])
def test_half_precision_becomes_float32(tmp_path, policy):
    before = tf_keras.mixed_precision.global_policy()
    try:
        tf_keras.mixed_precision.set_global_policy(policy)
        model = build(between=lambda x: tf_keras.Sequential([layers.Activation("elu")])(x))
    finally:
        tf_keras.mixed_precision.set_global_policy(before)
    network = read(save(tmp_path / "model.h5", model))
    assert {layer.compute_dtype for layer in network.model.submodules if isinstance(layer, layers.Layer)} == {"float32"}
    np.testing.assert_allclose(network.predict(IMAGES), model(IMAGES, training=False), atol=2e-2)
    operations = [node for node in network.head(16, 20).graph_def.node if node.attr["T"].type == tf.float16]
    assert not operations
    serve(tmp_path / "served", network)


def test_a_file_of_the_oldest_keras_2(tmp_path):
    """Keras before 2.2.5: a Sequential as a list of layers, and no backend."""
    kernel, bias = RANDOM.normal(0, 1, (3, 3, 3, 4)), np.zeros(4)
    sequential = {
        "class_name": "Sequential",
        "config": [
            {
                "class_name": "Conv2D",
                "config": {
                    "name": "conv2d_1",
                    "trainable": True,
                    "batch_input_shape": [None, 16, 20, 3],
                    "dtype": "float32",
                    "filters": 4,
                    "kernel_size": [3, 3],
                    "padding": "valid",
                    "data_format": "channels_last",
                    "activation": "tanh",
                    "use_bias": True,
                    "kernel_initializer": {
                        "class_name": "VarianceScaling",
                        "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None},
                    },
                    "bias_initializer": {"class_name": "Zeros", "config": {}},
                    "kernel_regularizer": None,
                },
            },
            {"class_name": "GlobalAveragePooling2D", "config": {"name": "pool", "trainable": True}},
            {"class_name": "Activation", "config": {"name": "end", "trainable": True, "activation": "softmax"}},
        ],
    }
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.1.6"
        file.attrs["model_config"] = json.dumps(sequential).encode()
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"conv2d_1", b"pool", b"end"]
        for name in ("conv2d_1", "pool", "end"):
            weights.create_group(name).attrs["weight_names"] = []
        names = ["conv2d_1/kernel:0", "conv2d_1/bias:0"]
        weights["conv2d_1"].attrs["weight_names"] = [name.encode() for name in names]
        weights["conv2d_1"][names[0]], weights["conv2d_1"][names[1]] = kernel, bias
    network = read(path)
    assert network.origin["keras"] == "2.1.6"
    features = np.tanh(tf.nn.conv2d(IMAGES, kernel, 1, "VALID"))
    np.testing.assert_allclose(network.predict(IMAGES), tf.nn.softmax(features.mean((1, 2))), atol=1e-5)


def test_one_of_several_outputs(tmp_path):
    model = build(lambda x: [layers.Dense(4, "softmax", name="tumour")(x), layers.Dense(2, "softmax", name="side")(x)])
    path = save(tmp_path / "model.h5", model)
    with pytest.raises(SeveralError, match=r"the outputs tumour, side; name one under source\.output"):
        read(path)
    network = read(path, output="side")
    assert network.outputs == 2
    np.testing.assert_allclose(network.predict(IMAGES), model(IMAGES)[1], atol=1e-6)
    assert serve(tmp_path / "served", network).own.shape[-1] == 2


class Mine(layers.Layer):
    def call(self, inputs):
        return inputs


class MyModel(tf_keras.Model):
    def call(self, inputs):
        return inputs[:, 0, 0]


def mine(x):
    return x


def subclassed():
    model = MyModel()
    model(IMAGES)
    return model


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize(
    "model, message",
    [
        (build(between=lambda x: Mine()(x)), "holds a custom layer or function, Mine"),
        (build(between=lambda x: layers.Activation(mine)(x)), "holds a custom layer or function, mine"),
        (build(between=lambda x: tf.nn.dropout(x, 0.5)), "runs Random"),
        (build(lambda x: layers.Dense(4, "sigmoid")(x)), r"\(Sigmoid\); it must end in"),
        (build(size=(16, 20, 2)), r"takes \(None, 16, 20, 2\); it must take"),
        (build(lambda x: layers.Reshape((2, 2))(layers.Dense(4)(x))), r"gives \(None, 2, 2\)"),
    ],
)
def test_a_model_that_cannot_be_converted(tmp_path, model, suffix, message):
    path = save(tmp_path / f"model.{suffix}", model)
    with pytest.raises(ConversionError, match=message):
        read(path).head(16, 20)


def test_a_subclassed_model(tmp_path):
    with pytest.raises(ConversionError, match="is a subclassed model, MyModel"):
        read(save(tmp_path / "model.keras", subclassed()))


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda layer, x: layer(x),
        lambda layer, x: layers.TimeDistributed(layer)(x),
        lambda layer, x: tf_keras.Sequential([tf_keras.Sequential([layer])])(x),
    ],
)
def test_a_lambda_is_not_run(tmp_path, suffix, wrap):
    target = tmp_path / "mark"
    lambda_layer = layers.Lambda(lambda tensor, mark=str(target): (Path(mark).touch(), tensor)[1])
    path = save(tmp_path / f"model.{suffix}", build(between=lambda x: wrap(lambda_layer, x)))
    target.unlink()
    with pytest.raises(ConversionError, match="holds a Lambda layer, which is code and not loaded"):
        read(path)
    assert not target.exists()
    with quiet():
        tf_keras.models.load_model(path, **({"safe_mode": False} if suffix == "keras" else {}))
    assert target.exists(), "the model is not as hostile as the test means"


def calls(function):
    """A change that makes a layer call another function of TensorFlow's API."""

    def change(config):
        layer = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "TFOpLambda")
        layer["config"]["function"] = function
        return config

    return change


@pytest.mark.parametrize(
    "function",
    ["io.gfile.rmtree", "io.write_file", "py_function", "compat.v1.py_func", "keras.models.load_model", "math"],
)
def test_only_functions_that_compute_are_called(tmp_path, function):
    path = save(tmp_path / "model.h5", build(between=tf.nn.elu))
    assert read(path).outputs == 4
    with pytest.raises(ConversionError, match=f"calls tf.{function} in a layer"):
        read(rewrite(path, calls(function)))


def test_no_module_is_imported(tmp_path):
    """An archive may name the module of each layer, and importing a module runs it."""
    path = save(tmp_path / "model.keras", build())
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = members["config.json"].replace(
        b'"keras.layers", "class_name": "ReLU"', b'"antigravity", "class_name": "ReLU"'
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(ConversionError, match="holds a custom layer or function, ReLU"):
        read(path)
    assert "antigravity" not in sys.modules


def test_without_tf_keras(tmp_path, monkeypatch):
    path = save(tmp_path / "model.h5", build())
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    with pytest.raises(ConversionError) as error:
        read(path)
    assert str(error.value) == (
        f"{path} (HDF5 of Keras 2.20.1): files of Keras 2 are read by tf-keras: run make keras-2 once, or pip install "
        f"tf-keras=={TF_KERAS} into this environment"
    )


def test_its_version_is_that_of_the_pipfile():
    assert f'tf-keras = "=={TF_KERAS}"' in (ROOT / "Pipfile").read_text()


def test_nothing_is_printed(tmp_path, capfd):
    path = save(tmp_path / "model.h5", build())
    capfd.readouterr()
    network = read(path)
    network.head(16, 20)
    network.predict(IMAGES)
    assert capfd.readouterr() == ("", "")
