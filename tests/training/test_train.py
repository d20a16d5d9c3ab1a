"""The command itself, on a phantom of 48 pictures: seconds, and every stage runs."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from brain_tumor.card import Card
from tests.training.scans import phantom
from training.train import main


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom(tmp_path_factory.mktemp("train") / "data", training=36, testing=12)


def run(data: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training.train", data, out, "--size", "32", "--epochs", "1", *options]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    )


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "new" / "model.keras"
    done = run(data, out)
    assert "val_accuracy" in done.stdout
    assert "accuracy on 24 test pictures" in done.stderr
    return out


def test_the_card_beside_the_model_says_what_it_is(trained: Path) -> None:
    assert sorted(path.name for path in trained.parent.iterdir()) == ["model.json", "model.keras"]
    card = Card.from_json(trained.with_suffix(".json").read_text())
    assert card.class_names == ("glioma", "meningioma", "notumor", "pituitary")
    assert (card.height, card.width, card.resampling, card.scaling, card.name) == (32, 32, "bilinear", "none", "")
    assert card.training["data"] == "phantom"
    assert card.training["pictures"] == {"fitted": 64, "validated": 8, "tested": 24}  # 1 of 9 patients a class held out
    assert np.sum(card.metrics["confusion_matrix"]) == card.metrics["pictures"] == 24
    assert card.out_of_distribution_threshold is not None
    assert set(card.metrics["strangers_flagged"]) >= {"uniform noise", "text"}
    assert set(card.versions) == {"python", "keras", "tensorflow", "numpy"}


def test_the_model_has_no_optimizer_state_and_takes_raw_pixels(trained: Path) -> None:
    with zipfile.ZipFile(trained) as archive, archive.open("model.weights.h5") as weights, h5py.File(weights) as file:
        assert "optimizer" not in file
    model = keras.models.load_model(trained)
    assert model.input_shape == (None, 32, 32, 3)
    assert model.predict(np.zeros((2, 32, 32, 3), np.uint8), verbose=0).shape == (2, 4)


def test_the_same_command_gives_the_same_model(data: Path, trained: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "again.keras")
    first, again = (keras.models.load_model(path).get_weights() for path in (trained, tmp_path / "again.keras"))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    cards = [json.loads(path.read_text()) for path in (trained.with_suffix(".json"), tmp_path / "again.json")]
    for card in cards:
        del card["training"]["seconds"]
    assert cards[0] == cards[1]


def test_a_backbone_trains_by_name(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "model.keras", "--model", "MobileNet", "--seed", "1")
    card = Card.from_json((tmp_path / "model.json").read_text())
    assert (card.training["model"], card.training["weights"], card.training["seed"]) == ("MobileNet", "none", 1)
    assert isinstance(keras.models.load_model(tmp_path / "model.keras").layers[1], keras.layers.Rescaling)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "Xcepton"], "did you mean Xception"),
        (["--model", "small", "--weights", "imagenet"], "small has no pretrained weights"),
        (["--epochs", "0"], "--epochs must be above 0"),
        (["--size", "-3"], "--size must be above 0"),
        (["--size", "5000"], "--size must be at most 1024"),
        (["--seed", "-1"], "--seed must be"),
    ],
)
def test_bad_options_are_refused(
    options: list[str], message: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused([str(data), str(tmp_path / "model.keras"), *options], message, capsys)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused([str(tmp_path / "nowhere"), str(tmp_path / "model.keras")], "there is no folder", capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("out", "message"),
    [("model.h5", "must end in .keras"), ("folder.keras", "is a folder"), ("file/model.keras", "cannot write")],
)
def test_an_output_that_cannot_be_written_is_found_first(
    out: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.keras").mkdir()
    (tmp_path / "file").write_text("")
    refused([str(tmp_path / "no data"), str(tmp_path / out)], message, capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.keras"]


def test_an_unreadable_picture_is_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = phantom(tmp_path / "data", training=24)
    (folder / "Testing" / "glioma" / "Te-gl_0000.jpg").write_bytes(b"\xff\xd8\xff broken")
    refused([str(folder), str(tmp_path / "model.keras"), "--size", "32"], "Te-gl_0000.jpg", capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code != 0
    assert message in capsys.readouterr().err
