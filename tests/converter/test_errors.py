"""Any error in the input gives one line that names it and status 1, and leaves nothing behind."""

import json
import os
import re
import zipfile

import keras
import numpy as np
import pytest
from keras import layers

from converter.__main__ import main
from tests.converter.compare import listing
from tests.converter.small_models import build_keras, classifier, publish, write


def convert(tmp_path, capsys, source, *options):
    """The one line that the command prints on stderr, after checks that it failed and left nothing."""
    out = tmp_path / "out"
    assert main([str(source), str(out), *options]) == 1
    assert not out.exists()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


def save(tmp_path, build, size=(32, 40, 3)):
    pixels = keras.Input(size)
    return write(tmp_path, keras.Model(pixels, build(pixels)))


def pooled(x, activation="softmax"):
    return layers.Dense(4, activation=activation)(layers.GlobalAveragePooling2D()(x))


def grey(tmp_path, **metadata):
    pixels = keras.Input((32, 40, 1))
    return write(tmp_path, keras.Model(pixels, pooled(layers.Conv2D(4, 3)(pixels))), **metadata)


class Mine(layers.Layer):
    def call(self, inputs):
        return inputs


class MyModel(keras.Model):
    def call(self, inputs):
        return inputs[:, 0, 0, :2]


def my_activation(x):
    return x


def custom_model(tmp_path):
    model = MyModel()
    model(np.zeros((1, 32, 40, 3), np.float32))
    return write(tmp_path, model)


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda path: save(path, lambda x: pooled(layers.Lambda(lambda tensor: tensor / 2)(x))),
            "holds a Lambda layer",
        ),
        (lambda path: save(path, lambda x: pooled(Mine()(x))), "holds a custom layer or function, Mine"),
        (
            lambda path: save(path, lambda x: pooled(x, my_activation)),
            "holds a custom layer or function, my_activation",
        ),
        (
            custom_model,
            rf"\(\.keras of Keras {re.escape(keras.__version__)}\): is a subclassed model, MyModel, whose code",
        ),
        (lambda path: save(path, lambda x: pooled(x, "sigmoid")), r"ends in dense\w* \(sigmoid\); it must end in"),
        (lambda path: save(path, lambda x: pooled(x, "relu")), r"\(relu\)"),
        (lambda path: save(path, lambda x: layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1)(x))), "must end in"),
        (
            lambda path: save(path, lambda x: pooled(layers.ReLU(name="a b")(x))),
            "layer 'a b': in a name TensorFlow takes",
        ),
        (lambda path: save(path, pooled, (32, 40, 2)), r"takes \(None, 32, 40, 2\); it must take"),
        (lambda path: save(path, lambda x: layers.Dense(4, "softmax")(x), (3,)), r"takes \(None, 3\)"),
        (lambda path: save(path, lambda x: layers.Conv2D(4, 3, activation="softmax")(x)), r"gives \(None, 30, 38, 4\)"),
        (
            lambda path: save(path, lambda x: [pooled(x), pooled(x)]),
            r"has the outputs dense\w*, dense\w*; name one under source.output",
        ),
        (lambda path: save(path, pooled, (None, None, 3)), "give image.height and image.width"),
        (lambda path: save(path, lambda x: layers.Dense(5, "softmax")(layers.Flatten()(x))), "has 5 outputs"),
        (
            lambda path: write(path, class_names=["a", "b", "c"], model=build_keras()),
            "3 class_names, but the model has 4",
        ),
        (lambda path: write(path, class_names=["a", "a", "b", "c"], model=build_keras()), "class_names must be"),
        (lambda path: write(path, image={"height": 32, "width": 32}), "image.width is 32, but the model takes 40"),
        (lambda path: write(path, scaling="imagenet"), "scaling must be one of"),
        (lambda path: grey(path, scaling="caffe"), "which is of colours, but the model takes grey levels"),
        (lambda path: grey(path, image={"color_mode": "bgr"}), 'is "bgr", but the model takes grey levels'),
        (lambda path: write(path, temperature=0), "temperature must be"),
    ],
)
def test_a_model_that_cannot_be_converted(tmp_path, capsys, make, message):
    assert re.search(message, convert(tmp_path, capsys, make(tmp_path / "in")))


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def without_weights(path):
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if "weights" not in name}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in kept.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    "damage, message",
    [
        (half, "damaged or incomplete"),
        (flipped, "damaged or incomplete"),
        (without_weights, "a .keras archive without weights"),
        (lambda path: path.unlink(), "no such file"),
    ],
)
def test_a_damaged_file(tmp_path, capsys, damage, message):
    source = write(tmp_path / "in")
    damage(source)
    assert message in convert(tmp_path, capsys, source)


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "no such file; describe the model there"),
        ("{", "not readable as JSON"),
        ("[]", "must hold a JSON object"),
        ("{}", "class_names must be a list"),
        ('{"class_names": ["a", "b", "c", "d"], "metrics": {"loss": NaN}}', "not JSON compliant"),
        ('{"class_names": ["a", "b", "c", "\\ud800"]}', "surrogates not allowed"),
        (b"\xff\xfe", "not readable as JSON"),
        ('{"class_names": ["a", "b", "c", "d"], "source": "tumour"}', "source must be an object"),
        ('{"class_names": ["a", "b", "c", "d"], "source": {"output": 1}}', "source.output must be a name"),
    ],
)
def test_metadata_that_is_missing_or_wrong(tmp_path, capsys, text, message):
    source = write(tmp_path / "in")
    metadata = source.with_suffix(".json")
    metadata.unlink()
    if text is not None:
        metadata.write_bytes(text if isinstance(text, bytes) else text.encode())
    error = convert(tmp_path, capsys, source)
    assert message in error
    assert str(metadata) in error


def test_a_description_that_is_a_pipe(tmp_path, capsys):
    source = write(tmp_path / "in")
    source.with_suffix(".json").unlink()
    os.mkfifo(source.with_suffix(".json"))
    assert "no file" in convert(tmp_path, capsys, source)


def test_names_in_a_file_move_no_cursor(tmp_path, capsys):
    source = write(tmp_path / "in", source={"output": "a\nb\x1b[31m"})
    assert "no output a?b?[31m: its only output is dense" in convert(tmp_path, capsys, source)


def test_another_metadata_file_can_be_named(tmp_path, capsys):
    source = write(tmp_path / "in")
    metadata = source.with_suffix(".json").rename(tmp_path / "elsewhere.json")
    assert main([str(source), str(tmp_path / "out"), "--metadata", str(metadata)]) == 0
    assert "no such file" in convert(tmp_path / "other", capsys, source, "--metadata", str(tmp_path / "none.json"))


def test_a_published_version_is_never_changed(tmp_path, capsys):
    folder = publish(tmp_path / "models")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main([str(write(tmp_path / "in")), str(tmp_path / "models")]) == 1
    assert "choose another --version" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert listing(folder.parent) == ["1"]


def test_weights_that_are_not_numbers(tmp_path, capsys):
    model = build_keras()
    model.layers[-1].kernel.assign(np.full(model.layers[-1].kernel.shape, np.nan))
    assert "not finite" in convert(tmp_path, capsys, write(tmp_path / "in", model))


def test_a_folder_without_images_to_verify_with(tmp_path, capsys):
    source = write(tmp_path / "in")
    assert "no images there" in convert(tmp_path, capsys, source, "--verify-with", str(tmp_path / "in"))
    (tmp_path / "in" / "scan.png").write_bytes(b"not an image")
    assert "scan.png: This is text, which cannot be read here" in convert(
        tmp_path, capsys, source, "--verify-with", str(tmp_path / "in")
    )


def test_a_model_whose_scaling_is_unknown_is_converted_with_a_warning(tmp_path, capsys):
    pixels = keras.Input((32, 40, 3))
    model = keras.Model(pixels, classifier(layers.Conv2D(4, 3)(pixels), 4))
    source = write(tmp_path / "in", model)
    assert main([str(source), str(tmp_path / "models")]) == 0
    assert capsys.readouterr().err == ""
    source.with_suffix(".json").write_text(json.dumps({"class_names": list("abcd")}))
    assert main([str(source), str(tmp_path / "models"), "--version", "2"]) == 0
    assert 'has no "scaling"' in capsys.readouterr().err


def test_a_threshold_of_another_score_is_left_out(tmp_path, capsys):
    """An average of two softmaxes has no energy, and no image should be flagged by a number that means another one."""
    pixels = keras.Input((32, 40, 3))
    ends = [layers.Dense(4, "softmax")(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(pixels))) for _ in "ab"]
    model = keras.Model(pixels, layers.Average()(ends))
    reference = {name: {"edges": [1], "counts": [2, 3]} for name in ("ood_score", "size")}
    for version, scored in enumerate(({}, {"score": "max-probability"}), 1):
        source = write(tmp_path / "in", model, out_of_distribution={"threshold": 1.5} | scored, reference=reference)
        assert main([str(source), str(tmp_path / "models"), "--version", str(version)]) == 0
        published = tmp_path / "models" / "brain-tumor" / str(version) / "assets.extra" / "metadata.json"
        metadata = json.loads(published.read_text())
        assert set(metadata["reference"]) == ({"ood_score", "size"} if scored else {"size"})
        assert metadata["out_of_distribution"] == {"score": "max-probability", "threshold": 1.5 if scored else None}
        assert ("threshold is of the score energy" in capsys.readouterr().err) is not bool(scored)


def test_misspelt_fields_of_the_metadata_are_named(tmp_path, capsys):
    source = write(
        tmp_path / "in", scalling="tf", image={"filter": "nearest"}, source={"outputs": "a"}, reference={"hue": 1}
    )
    assert main([str(source), str(tmp_path / "models")]) == 0
    error = capsys.readouterr().err
    assert "scalling is no field of model metadata" in error
    assert "image.filter is no field of model metadata" in error
    assert "source.outputs is no field of model metadata" in error
    assert "reference.hue is no field of model metadata" in error
    assert (tmp_path / "models" / "brain-tumor" / "1" / "saved_model.pb").is_file()


def test_an_error_that_nobody_expected_is_one_line_unless_its_trace_is_wanted(tmp_path, capsys, monkeypatch):
    def fail(job, tell, warn):
        raise IndexError("list index\nout of range")

    monkeypatch.setattr("converter.convert.convert", fail)
    error = convert(tmp_path, capsys, tmp_path / "model.keras")
    assert "an error that the converter does not know, IndexError: list index; --debug shows" in error
    with pytest.raises(IndexError):
        main([str(tmp_path / "model.keras"), str(tmp_path / "out"), "--debug"])


# Versions of Python differ in how deep JSON and calls may go.
@pytest.mark.parametrize("depth", [900, 3_000, 20_000])
def test_a_configuration_that_is_nested_too_deeply(tmp_path, capsys, depth):
    source = write(tmp_path / "in")
    with zipfile.ZipFile(source, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", '{"config": ' * depth + "{}" + "}" * depth)
    error = convert(tmp_path, capsys, source)
    assert re.search(r"its configuration is (nested too deeply|damaged)|cannot be loaded: Expected", error), error


def test_a_warning_comes_although_the_conversion_then_fails(tmp_path, capsys):
    source = write(tmp_path / "in", scalling="tf")
    (tmp_path / "empty").mkdir()
    assert main([str(source), str(tmp_path / "out"), "--verify-with", str(tmp_path / "empty")]) == 1
    warning, error = capsys.readouterr().err.splitlines()
    assert "scalling is no field of model metadata" in warning
    assert error.startswith("error: ")


@pytest.mark.parametrize(
    "options",
    [["--version", "0"], ["--version", "x"], ["--version", "-1"], ["--name", "../up"], ["--name", ""], ["--no"]],
)
def test_usage(tmp_path, capsys, options):
    with pytest.raises(SystemExit) as ended:
        main(["model.keras", str(tmp_path / "out"), *options])
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err
