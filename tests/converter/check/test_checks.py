"""A description that does not fit its model is found out on labelled images."""

import json
import math

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from converter.__main__ import main
from converter.check.checks import Comparison, Tried, upper_tail
from tests.converter.compare import listing

NAMES = ["dark", "dim", "light", "white"]
LEVELS = [30, 90, 150, 210]  # grey levels, of 255


def brightness_model(side=32):
    """A model that tells apart how bright an image is, of pixels 0..1: logits of -(x - level)^2, but for x^2."""
    pixels = keras.Input((side, side, 3))
    same = layers.Conv2D(3, 1, use_bias=False, name="same")
    dense = layers.Dense(4, "softmax", name="end")
    model = keras.Model(pixels, dense(layers.GlobalAveragePooling2D()(same(pixels))))
    same.set_weights([np.eye(3)[None, None]])
    levels = np.asarray(LEVELS) / 255
    dense.set_weights([np.tile(200 * 2 / 3 * levels, (3, 1)), -200 * levels**2])
    return model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    brightness_model().save(path)
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for name, level in zip(NAMES, LEVELS, strict=True):
        (folder / "test" / name.upper()).mkdir(parents=True)
        for number in range(6):
            noise = random.integers(-20, 21, (32, 32, 3))
            Image.fromarray(np.uint8(level + noise)).save(folder / "test" / name.upper() / f"{number}.png")
    return folder


def convert(model, images, tmp_path, *options, **fields):
    path = tmp_path / "description.json"
    path.write_text(json.dumps({"class_names": NAMES, "scaling": "unit"} | fields))
    out = tmp_path / "out"
    status = main([str(model), str(out), "--metadata", str(path), "--verify-with", str(images), *options])
    assert status == (0 if out.exists() else 1)
    return status == 0


def test_what_is_right_is_published_with_a_table(model, images, tmp_path, capsys):
    assert convert(model, images, tmp_path)
    printed = capsys.readouterr()
    assert printed.err == ""
    assert f"accuracy on 24 labelled images of {images / 'test'}:" in printed.out
    assert [line.split()[-1] for line in printed.out.splitlines() if "as described" in line] == ["100.0%"]
    for alternative in ('"scaling": "none"', '"resampling": "nearest"', '"crop_to_head": true', '"white", "light"'):
        assert alternative in printed.out


@pytest.mark.parametrize(
    "fields, instead",
    [({"scaling": "none"}, '"scaling": "unit"'), ({"class_names": NAMES[::-1]}, f'"class_names": {json.dumps(NAMES)}')],
)
def test_what_is_at_chance_is_not_published_if_an_alternative_is_right(
    model, images, tmp_path, capsys, fields, instead
):
    assert not convert(model, images, tmp_path, **fields)
    (line,) = capsys.readouterr().err.splitlines()
    assert "of 24 labelled images are right, no better than chance (25.0%), but 24 with " + instead in line
    assert "--publish-anyway" in line
    assert convert(model, images, tmp_path, "--publish-anyway", **fields)
    assert instead in capsys.readouterr().err


def test_what_is_worse_than_an_alternative_is_published_with_a_warning(model, images, tmp_path, capsys):
    assert convert(model, images, tmp_path, class_names=["dim", "dark", "light", "white"])
    (line,) = capsys.readouterr().err.splitlines()
    assert "12 of 24 labelled images are right, but 24 with" in line


def test_names_that_are_not_the_folders(model, images, tmp_path, capsys):
    assert convert(model, images, tmp_path, class_names=["black", *NAMES[1:]])
    (line,) = capsys.readouterr().err.splitlines()
    assert "class_names (black, dim, light, white) are not the folders of" in line
    assert "(DARK, DIM, LIGHT, WHITE), so accuracy was not checked" in line


def test_images_without_labels_are_compared_on_as_ever(model, images, tmp_path, capsys):
    assert convert(model, images / "test" / "DIM", tmp_path)
    printed = capsys.readouterr()
    assert (printed.err, "accuracy" in printed.out) == ("", False)
    assert "over 22 images" in printed.out


def test_scaling_in_the_description_and_in_the_model(images, tmp_path, capsys):
    pixels = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(pixels))
    path = tmp_path / "model.keras"
    keras.Model(pixels, layers.Dense(4, "softmax")(layers.GlobalAveragePooling2D()(x))).save(path)
    assert convert(path, images / "test" / "DIM", tmp_path)
    (line,) = capsys.readouterr().err.splitlines()
    assert 'says "scaling": "unit", but the model changes the pixels' in line


def test_describe_finds_out_what_it_can(model, images, tmp_path, capsys):
    path = tmp_path / "model.json"
    options = ["--describe", "--metadata", str(path), "--verify-with", str(images)]
    assert main([str(model), *options]) == 0
    printed = capsys.readouterr().out
    assert json.loads(path.read_text()) == {
        "class_names": [name.upper() for name in NAMES],
        "scaling": "unit",
        "image": {"height": 32, "width": 32, "resampling": "bilinear"},
    }
    assert "outputs: 4, as softmax" in printed.split("to check:")[0]
    assert "scaling: unit, the most common" in printed.split("to check:")[1]
    assert listing(tmp_path) == ["model.json"]
    assert main([str(model), *options]) == 1
    assert f"{path} exists, and is never overwritten" in capsys.readouterr().err


def tried(correct, of=24):
    return Tried({}, np.arange(of) < correct)


@pytest.mark.parametrize("correct, at_chance", [(0, True), (9, True), (10, True), (11, False), (24, False)])
def test_chance_is_decided_by_an_exact_test(correct, at_chance):
    """P(X >= 10) is 0.055 and P(X >= 11) is 0.021 for 24 images of four equal classes."""
    assert Comparison(tried(correct), (), 0.25, 1).at_chance is at_chance


def test_better_is_decided_by_the_images_that_change():
    """Of 6 images that only the alternative has right, a coin would give all 6 with 1/64 = 0.0156."""
    given, other = tried(10), tried(16)
    assert Comparison(given, (other,), 0.25, 3).better is other
    assert Comparison(given, (other,), 0.25, 4).better is None
    assert Comparison(other, (given,), 0.25, 1).better is None
    assert Comparison(given, (other,), 0.25, 3).clearly_right is other
    assert Comparison(tried(4), (tried(14),), 0.25, 3).clearly_right is None


def test_the_binomial_tail():
    assert upper_tail(0, 256, 0.3) == pytest.approx(1)
    assert upper_tail(3, 3, 0.5) == 0.125
    assert upper_tail(11, 24, 0.25) == pytest.approx(
        sum(math.comb(24, k) * 3 ** (24 - k) for k in range(11, 25)) / 4**24
    )
