"""A run that is stopped at any moment goes on and ends with the weights it would have had, bit for bit."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.processes import ROOT
from tests.training.commands import ENVIRONMENT, assert_same, command, train_here, weights
from tests.training.scans import phantom
from tests.training.train.noise import images, network, short
from training.train.__main__ import main
from training.train.checkpoint import Checkpoint, Epoch
from training.train.fit import fit
from training.train.options import Configuration
from training.train.recipes import Phase

# With dropout, augmentation and OOD samples; the original recipe's head has more dropout, but no OOD samples.
OPTIONS = ["--epochs", "8", "--batch-size", "20"]
START = 120.0  # seconds


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom(tmp_path_factory.mktemp("resume") / "data", training=36, testing=12)


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """The weights of the run that nothing interrupts."""
    run = tmp_path_factory.mktemp("whole") / "run"
    train_here(data, run, *OPTIONS)
    return weights(run)


@contextlib.contextmanager
def training(data: Path, run: Path) -> Iterator[subprocess.Popen[str]]:
    """The command in a process group of its own."""
    child = subprocess.Popen(
        command(data, run, *OPTIONS),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env=ENVIRONMENT,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def wait(child: subprocess.Popen[str], moment: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START
    while not moment():
        assert child.poll() is None, child.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.001)


def kill(child: subprocess.Popen[str]) -> None:
    os.killpg(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL


def rows(run: Path) -> list[str]:
    """The rows of ``epochs.csv``, with the seconds that each epoch took."""
    path = run / "epochs.csv"
    return path.read_text().splitlines()[1:] if path.exists() else []


def test_a_run_that_is_killed_twice_ends_with_the_same_weights(
    data: Path, whole: list[np.ndarray], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with training(data, run) as child:
        wait(child, lambda: len(rows(run)) >= 2)
        kill(child)
    first = rows(run)
    assert 2 <= len(first) < 8
    assert not (run / "model.json").exists()

    # The second time while a checkpoint is written.
    written = run / "checkpoint" / f"epoch-{len(first) + 2}.weights.h5"
    with training(data, run) as child:
        wait(child, written.exists)
        kill(child)
    second = rows(run)
    assert second[: len(first)] == first  # no finished epoch is repeated
    assert len(first) < len(second) < 8
    assert not (run / "model.json").exists()

    train_here(data, run, *OPTIONS)
    assert rows(run)[: len(second)] == second
    assert [row.split(",")[0] for row in rows(run)] == [str(epoch) for epoch in range(1, 9)]
    assert not (run / "checkpoint").exists()
    assert_same(whole, weights(run))


@pytest.fixture(scope="module")
def stopped(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str]:
    """The folder, status and last lines of a run that Ctrl-C stopped."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    with training(data, run) as child:
        wait(child, lambda: len(rows(run)) >= 1)
        child.send_signal(signal.SIGINT)
        output, _ = child.communicate(timeout=60)
    return run, child.returncode, output


def test_ctrl_c_says_that_the_same_command_goes_on(stopped: tuple[Path, int, str]) -> None:
    run, status, output = stopped
    assert status == 130
    assert output.endswith("python -m training.train: stopped; the same command goes on after the last whole epoch\n")
    assert "Traceback" not in output
    assert not list(run.rglob(".*"))  # no scratch file stays
    assert (run / "checkpoint" / "state.json").exists()


def test_a_run_that_ctrl_c_stopped_ends_with_the_same_weights(
    data: Path, stopped: tuple[Path, int, str], whole: list[np.ndarray], tmp_path: Path
) -> None:
    run = shutil.copytree(stopped[0], tmp_path / "run")
    train_here(data, run, *OPTIONS)
    assert_same(whole, weights(run))


def test_a_result_that_cannot_be_written_costs_no_epoch(
    data: Path, stopped: tuple[Path, int, str], whole: list[np.ndarray], tmp_path: Path, capsys
) -> None:
    run = shutil.copytree(stopped[0], tmp_path / "run")
    (run / "model.keras").mkdir()  # in the way
    with pytest.raises(SystemExit) as ended:
        main([str(data), str(run), "--size", "32", *OPTIONS])
    assert ended.value.code == 1
    assert "the same command goes on after the last whole epoch" in capsys.readouterr().err
    before = rows(run)
    assert len(before) == 8
    (run / "model.keras").rmdir()
    train_here(data, run, *OPTIONS)
    assert rows(run) == before
    assert_same(whole, weights(run))


def lose_the_weights(folder: Path) -> None:
    for path in folder.glob("epoch-*"):
        path.unlink()


def cut_the_weights(folder: Path) -> None:
    for path in folder.glob("epoch-*"):
        path.write_bytes(path.read_bytes()[:5000])


def write_garbage(folder: Path) -> None:
    (folder / "state.json").write_text("{")


def take_another_runs(folder: Path) -> None:
    state = (folder / "state.json").read_text()
    (folder / "state.json").write_text(state.replace('"split_seed": 0', '"split_seed": 4'))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose_the_weights, "checkpoint has lost its weights: remove it to begin anew"),
        (cut_the_weights, "checkpoint to begin anew"),
        (write_garbage, "state.json is no checkpoint of this program: remove"),
        (take_another_runs, "holds a run of another split seed (4, not 0): name another folder, or remove this one"),
    ],
)
def test_a_checkpoint_that_does_not_do_is_explained_and_left(
    damage, message: str, data: Path, stopped: tuple[Path, int, str], tmp_path: Path, capsys
) -> None:
    run = shutil.copytree(stopped[0], tmp_path / "run")
    damage(run / "checkpoint")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "run.json"}
    with pytest.raises(SystemExit) as ended:
        main([str(data), str(run), "--size", "32", *OPTIONS])
    output = capsys.readouterr().err
    assert ended.value.code == 1
    assert message in output
    assert "Traceback" not in output
    assert {path: path.read_bytes() for path in before} == before


class Recording(Checkpoint):
    """Copies the run's folder after each epoch's checkpoint, as a kill at this moment would leave it."""

    def __init__(self, run: Path, copies: Path | None) -> None:
        super().__init__(run / "checkpoint", {})
        self._run = run
        self._copies = copies

    def add(self, model: keras.Model, epoch: Epoch) -> None:
        super().add(model, epoch)
        if self._copies:
            shutil.copytree(self._run, self._copies / str(epoch.epoch))


def fitted(run: Path, configuration: Configuration, copies: Path | None = None, seed: int = 0) -> list[np.ndarray]:
    """The weights after a fit that starts or goes on in ``run``."""
    model = network(seed)
    scans = images(24, 0)
    run.mkdir(exist_ok=True)
    fit(model, configuration, scans, images(12, 1), 255 - scans.pixels, Recording(run, copies), run)
    return model.get_weights()


@pytest.fixture(scope="module")
def two_phases() -> Configuration:
    """The recipe for pretrained weights, on random ones."""
    head = Phase("head", 2, 1e-2, backbone=False, batch_normalization=False, cosine=True)
    everything = Phase("all", 2, 1e-3, backbone=True, batch_normalization=False, cosine=True)
    return short(phases=(head, everything), patience=None)


@pytest.fixture(scope="module")
def whole_phases(two_phases: Configuration, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[np.ndarray], Path]:
    """The weights of a run that nothing interrupts, and the folder of its copies."""
    folder = tmp_path_factory.mktemp("phases")
    return fitted(folder / "run", two_phases, folder / "copies"), folder / "copies"


@pytest.mark.parametrize("last", [1, 2, 3])  # within the first phase, between the two, within the second
def test_phases_go_on_where_they_were_stopped(
    last: int, two_phases: Configuration, whole_phases: tuple[list[np.ndarray], Path]
) -> None:
    expected, copies = whole_phases
    run = copies / str(last)
    assert len(rows(run)) == last - 1  # stopped between the checkpoint and the table
    assert_same(expected, fitted(run, two_phases, seed=9))
    assert [row.split(",")[1] for row in rows(run)] == ["head", "head", "all", "all"]
