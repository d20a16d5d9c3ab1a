"""The state of a run in a folder: complete after each epoch, refused if it is another run's, explained if damaged."""

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.training.commands import assert_same
from training.train.checkpoint import Checkpoint, CheckpointError, Epoch, require_same

IDENTITY = {"model": "tiny", "seed": 0, "phases": [{"epochs": 2}]}
EPOCH = Epoch(1, "all", 0.001, 1.0, 0.5, 1.5, 0.25, 0.1)


def network(seed: int = 0, units: int = 2) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(units)(keras.layers.Dense(4)(inputs)))
    model.compile(keras.optimizers.Adam(0.1), "mse")
    return model


def learn(model: keras.Model, units: int = 2) -> keras.Model:
    rng = np.random.default_rng(0)
    model.run_eagerly = True
    model.train_on_batch(rng.random((8, 3)), rng.random((8, units)))
    return model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The checkpoint of two epochs, the first the better one."""
    checkpoint = Checkpoint(tmp_path / "run" / "checkpoint", IDENTITY)
    model = network()
    checkpoint.add(learn(model), EPOCH)
    checkpoint.add(learn(model), replace(EPOCH, epoch=2, validation_loss=1.75))
    return tmp_path / "run" / "checkpoint"


def test_a_new_one_has_no_history_and_makes_no_folder(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "checkpoint", IDENTITY).history == []
    assert not list(tmp_path.iterdir())


def test_it_keeps_the_last_weights_the_best_ones_and_the_history(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["best-1.npz", "epoch-2.weights.h5", "state.json"]
    assert Checkpoint(folder, IDENTITY).history == [EPOCH, replace(EPOCH, epoch=2, validation_loss=1.75)]


def test_going_on_needs_the_optimizers_state_and_has_it(folder: Path) -> None:
    whole = learn(learn(learn(network())))
    restored = network(seed=9)
    Checkpoint(folder, IDENTITY).restore(restored)
    assert_same(whole.get_weights(), learn(restored).get_weights())


def test_the_best_epochs_weights_come_back(folder: Path) -> None:
    restored = network(seed=9)
    Checkpoint(folder, IDENTITY).restore_best(restored)
    assert_same(learn(network()).get_weights(), restored.get_weights())


def test_a_better_epoch_replaces_the_best(folder: Path) -> None:
    Checkpoint(folder, IDENTITY).add(network(), replace(EPOCH, epoch=3, validation_loss=0.5))
    assert sorted(path.name for path in folder.iterdir()) == ["best-3.npz", "epoch-3.weights.h5", "state.json"]


def test_what_a_kill_left_half_written_is_passed_over_and_removed(folder: Path) -> None:
    """``state.json`` is replaced last: without it the new weights do not count."""
    (folder / "epoch-3.weights.h5").write_bytes(b"\x89HDF half")
    (folder / "best-3.npz").write_bytes(b"PK half")
    (folder / ".123.state.json").write_text('{"identity": ')
    checkpoint = Checkpoint(folder, IDENTITY)
    assert len(checkpoint.history) == 2
    restored = network(seed=9)
    checkpoint.restore(restored)
    checkpoint.add(learn(restored), replace(EPOCH, epoch=3))
    assert sorted(path.name for path in folder.iterdir()) == ["best-1.npz", "epoch-3.weights.h5", "state.json"]
    again = network(seed=8)
    Checkpoint(folder, IDENTITY).restore(again)
    assert_same(restored.get_weights(), again.get_weights())


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ({**IDENTITY, "seed": 1, "zoom": 2}, r"run holds a run of another seed \(0, not 1\)"),
        ({**IDENTITY, "phases": [{"epochs": 3}]}, r"another phases 1 epochs \(2, not 3\)"),
        ({**IDENTITY, "augmentation": {}}, r"another augmentation \(null, not \{\}\)"),
    ],
)
def test_another_runs_is_refused_by_the_first_difference(identity: dict, message: str, folder: Path) -> None:
    with pytest.raises(CheckpointError, match=message + ": name another folder, or remove this one"):
        Checkpoint(folder, identity)


def test_a_long_difference_is_shortened(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as refused:
        require_same({"a": "x" * 500}, {"a": "y" * 500}, tmp_path)
    assert len(str(refused.value)) < 250 + len(str(tmp_path))


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"no json",
        b"\xff\xfe",
        b"[]",
        b"{}",
        json.dumps({"identity": IDENTITY, "history": [{"epoch": 1}], "last": "a", "best": "b"}).encode(),
        json.dumps({"identity": IDENTITY, "history": [], "last": 3, "best": None}).encode(),
        json.dumps({"identity": 5, "history": [], "last": "a", "best": "b"}).encode(),
    ],
)
def test_a_state_that_cannot_be_read_says_what_to_remove(state: bytes, folder: Path) -> None:
    (folder / "state.json").write_bytes(state)
    with pytest.raises(CheckpointError, match=f"is no checkpoint of this program: remove {folder}"):
        Checkpoint(folder, IDENTITY)


@pytest.mark.parametrize("name", ["epoch-2.weights.h5", "best-1.npz"])
def test_missing_weights_are_found_at_once(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"{folder} has lost its weights: remove it to begin anew"):
        Checkpoint(folder, IDENTITY)


@pytest.mark.parametrize("damage", [lambda whole: whole[: len(whole) // 2], lambda whole: b"", lambda whole: b"x" * 99])
def test_damaged_weights_say_what_to_remove(damage, folder: Path) -> None:
    for name in ("epoch-2.weights.h5", "best-1.npz"):
        (folder / name).write_bytes(damage((folder / name).read_bytes()))
    checkpoint = Checkpoint(folder, IDENTITY)
    with pytest.raises(
        CheckpointError, match=rf"epoch-2.weights.h5 cannot be loaded \(\w+\): remove {folder} to begin"
    ):
        checkpoint.restore(network())
    with pytest.raises(CheckpointError, match=rf"best-1.npz cannot be loaded \(\w+\): remove {folder} to begin anew"):
        checkpoint.restore_best(network())


def test_another_networks_weights_are_refused(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        Checkpoint(folder, IDENTITY).restore(network(units=5))
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        Checkpoint(folder, IDENTITY).restore_best(network(units=5))
