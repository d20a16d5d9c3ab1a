"""The loss against a plain reference, when a phase ends, which weights are kept, and mixed precision."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp

from tests.processes import ROOT
from tests.training.commands import ENVIRONMENT, assert_same, train_here
from tests.training.configurations import SIDE
from tests.training.scans import phantom
from tests.training.train.noise import CLASSES, images, network, short
from training.train import networks
from training.train.__main__ import main
from training.train.checkpoint import Checkpoint
from training.train.fit import Accuracy, DivergedError, fit, loss
from training.train.input_pipeline import Images
from training.train.recipes import Phase


@pytest.fixture(scope="module")
def scans() -> Images:
    return images(30, 0)


@pytest.fixture(scope="module")
def validation() -> Images:
    return images(12, 1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("ood_samples", [False, True])
def test_the_loss_is_cross_entropy_and_with_ood_samples_a_margin_of_energy(smoothing: float, ood_samples: bool) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 8, (9, CLASSES)).astype(np.float32)
    targets = np.vstack([np.eye(CLASSES)[rng.integers(0, CLASSES, 6)], np.zeros((3, CLASSES))]).astype(np.float32)
    expected = []
    for target, row in zip(targets, logits.astype(float), strict=True):
        energy = -logsumexp(row)
        if target.any():
            smooth = (1 - smoothing) * target + smoothing / CLASSES
            value = -(smooth * log_softmax(row)).sum()
            margin = max(0, energy + 7) ** 2
        else:
            value = 0.0
            margin = max(0, -2 - energy) ** 2
        expected.append(value + 0.1 * margin * ood_samples)
    assert np.count_nonzero(expected) > 6 if ood_samples else np.count_nonzero(expected) == 6
    losses = loss(smoothing, ood_samples)(keras.ops.convert_to_tensor(targets), keras.ops.convert_to_tensor(logits))
    assert losses.shape == (9,)
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-6)


def test_accuracy_leaves_ood_samples_out() -> None:
    accuracy = Accuracy()
    correct, wrong, ood_sample = [0, 1, 0], [1, 0, 0], [0, 0, 0]
    accuracy.update_state(np.array([correct, wrong, ood_sample], np.float32), np.array([[0.0, 5, 1]] * 3, np.float32))
    assert float(accuracy.result()) == 0.5
    accuracy.update_state(np.array([correct, correct], np.float32), np.array([[0.0, 5, 1]] * 2, np.float32))
    assert float(accuracy.result()) == 0.75


def test_a_phase_ends_when_patience_is_over_and_the_best_epochs_weights_stay(
    scans: Images, validation: Images, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Phase("all", 9, 0.003, backbone=True, batch_normalization=False, cosine=False)
    then = replace(first, name="then", epochs=1)
    configuration = short(phases=(first, then), patience=2, ood_samples=False)
    # Validated on wrong labels: the more the network learns, the worse its loss becomes.
    validation = replace(validation, labels=(validation.labels + 1) % CLASSES)
    checkpoint = Checkpoint(tmp_path / "checkpoint", {})
    model = network()
    with caplog.at_level("INFO"):
        fit(model, configuration, scans, validation, None, checkpoint, tmp_path)
    assert "no better validation loss for 2 epochs: the phase ends" in caplog.text
    losses = [epoch.validation_loss for epoch in checkpoint.history if epoch.phase == "all"]
    assert len(losses) < 9
    assert len(losses) - 1 - int(np.argmin(losses)) == 2  # as many epochs after the best one
    assert all(len(losses[:n]) - 1 - int(np.argmin(losses[:n])) < 2 for n in range(1, len(losses)))  # and no sooner
    # Epochs are numbered as if no phase had ended early.
    assert [epoch.epoch for epoch in checkpoint.history if epoch.phase == "then"] == [10]
    best = min(checkpoint.history, key=lambda epoch: epoch.validation_loss)
    assert best.epoch != checkpoint.history[-1].epoch
    targets = np.eye(CLASSES, dtype=np.float32)[validation.labels]
    kept = float(np.mean(loss(0.0, False)(targets, model.predict(validation.pixels, verbose=0))))
    assert kept == pytest.approx(best.validation_loss, rel=1e-4)

    # The same again has nothing left to do and gives the same weights.
    again = network(seed=5)
    fit(again, configuration, scans, validation, None, Checkpoint(tmp_path / "checkpoint", {}), tmp_path)
    assert_same(model.get_weights(), again.get_weights())


def test_without_patience_the_last_epochs_weights_stay(scans: Images, validation: Images, tmp_path: Path) -> None:
    only = Phase("all", 3, 0.003, backbone=True, batch_normalization=False, cosine=False)
    validation = replace(validation, labels=(validation.labels + 1) % CLASSES)
    model = network()
    checkpoint = Checkpoint(tmp_path / "checkpoint", {})
    fit(model, short(phases=(only,), patience=None, ood_samples=False), scans, validation, None, checkpoint, tmp_path)
    losses = [epoch.validation_loss for epoch in checkpoint.history]
    assert len(losses) == 3
    assert losses[2] > min(losses)
    targets = np.eye(CLASSES, dtype=np.float32)[validation.labels]
    kept = float(np.mean(loss(0.0, False)(targets, model.predict(validation.pixels, verbose=0))))
    assert kept == pytest.approx(checkpoint.history[-1].validation_loss, rel=1e-4)


def test_a_loss_that_is_no_number_ends_the_fit_and_is_not_kept(
    scans: Images, validation: Images, tmp_path: Path
) -> None:
    absurd = Phase("all", 3, 1e30, backbone=True, batch_normalization=True, cosine=False)
    with pytest.raises(DivergedError, match="the loss is no number after epoch 1: try a lower --learning-rate"):
        fit(network(), short(phases=(absurd,)), scans, validation, None, Checkpoint(tmp_path / "c", {}), tmp_path)
    assert not (tmp_path / "c").exists()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom(tmp_path_factory.mktemp("fit") / "data", training=12, testing=12)


def test_an_absurd_learning_rate_ends_the_command_with_a_message(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(data), str(tmp_path / "run"), "--size", "32", "--epochs", "1", "--learning-rate", "1e30"])
    assert stopped.value.code == 1
    output = capsys.readouterr().err
    assert "training.train: the loss is no number after epoch 1: try a lower --learning-rate" in output
    assert "Traceback" not in output
    assert not (tmp_path / "run" / "model.json").exists()


def test_mixed_precision_ends_in_a_float32_model(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_here(data, run, "--precision", "mixed_bfloat16", "--epochs", "1")
    assert json.loads((run / "model.json").read_text())["training"]["options"]["precision"] == "mixed_bfloat16"
    model = keras.models.load_model(run / "model.keras")
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert {weight.dtype for weight in model.weights} == {"float32"}
    with (run / "epochs.csv").open(newline="") as stream:
        (epoch,) = csv.DictReader(stream)
    assert float(epoch["loss"]) > 0
    assert keras.config.dtype_policy().name == "float32"  # as before


def test_mixed_precision_computes_in_it(scans: Images) -> None:
    keras.utils.set_random_seed(0)
    half = networks.build("small", SIDE, CLASSES, precision="mixed_bfloat16")
    assert half.layers[2].compute_dtype == "bfloat16"
    logits = half.predict(scans.pixels, verbose=0)
    assert logits.dtype == np.float32
    whole = network().predict(scans.pixels, verbose=0)
    assert 0 < np.abs(logits - whole).max() < 0.1


SEVERAL_DEVICES = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.training.train.noise import images, network, short
from training.train.checkpoint import Checkpoint
from training.train.fit import fit
scans, validation, folder = images(30, 0), images(12, 1), Path(sys.argv[1])
models = []
for seed in (0, 5):
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        models.append(network(seed))
    assert models[-1].distribute_strategy.num_replicas_in_sync == 2
    checkpoint = Checkpoint(folder / "checkpoint", {})  # the second time it is complete
    fit(models[-1], short(patience=None), scans, validation, 255 - scans.pixels, checkpoint, folder)
assert len(checkpoint.history) == 2
assert np.isfinite([epoch.loss for epoch in checkpoint.history]).all()
for first, second in zip(*(model.get_weights() for model in models), strict=True):
    np.testing.assert_array_equal(first, second)
print("trained")
"""


def test_several_devices_train_one_network_and_go_on(tmp_path: Path) -> None:
    program = [sys.executable, "-c", SEVERAL_DEVICES, str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "trained" in done.stdout
