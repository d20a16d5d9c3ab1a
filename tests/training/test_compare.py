"""A comparison of two networks where the test images cannot be read: killed, taken up again, and its table."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from PIL import Image

from training.compare import COMPARISON, Plan, compare
from training.compare.__main__ import main
from training.compare.table import Row, chosen, draw, front
from training.data import DataSet, find
from training.data.groups import by_patient
from training.train import run
from training.train.recipes import TWO_PHASE, options

ROOT = Path(__file__).parents[2]
MODELS = ("small", "MobileNet")
SIZES = ("--size", "32", "--epochs", "1", "--trial-epochs", "1", "--trials", "1", "--seeds", "2")


def row(model: str, accuracy: float, milliseconds: float, half: float = 0.02) -> Row:
    return Row(model, 1e-3, [accuracy], accuracy - half, accuracy + half, 10**6, 0.5, 4.0, milliseconds, 224)


@pytest.fixture(scope="module")
def unreadable(phantom_data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """The phantom with test images that are none: whoever looks at one fails."""
    folder = Path(copytree(phantom_data.folder, tmp_path_factory.mktemp("unreadable") / "data"))
    for file in phantom_data.testing:
        (folder / file).write_bytes(b"no image")
    return find(folder)


@pytest.fixture(scope="module")
def compared(unreadable: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compared")
    candidates = [options(TWO_PHASE, name, None, side=32, epochs=1) for name in MODELS]
    compare(unreadable, by_patient(unreadable), Plan(candidates, range(2), trials=1, trial_epochs=1), out)
    return out


@pytest.fixture(scope="module")
def document(compared: Path) -> dict:
    return json.loads((compared / COMPARISON).read_text())


def test_every_network_has_a_row_that_its_runs_bear_out(document: dict, compared: Path) -> None:
    assert [each["model"] for each in document["rows"]] == list(MODELS)
    assert (document["images"], document["seeds"], document["trials"]) == (10, [0, 1], 1)
    for each in document["rows"]:
        cards = [run.read_metadata(compared / each["model"] / f"seed-{seed}") for seed in (0, 1)]
        accuracies = [card.metrics["validation"]["accuracy"] for card in cards]
        assert each["accuracies"] == pytest.approx(accuracies, abs=1e-4)
        assert each["low"] <= np.mean(each["accuracies"]) <= each["high"]
        assert each["parameters"] == cards[0].training["parameters"]
        assert each["side"] == 32
        assert {card.training["options"]["phases"][-1]["learning_rate"] for card in cards} == {each["learning_rate"]}
    small, mobile = document["rows"]
    assert mobile["parameters"] > 10 * small["parameters"]
    assert mobile["megabytes"] > 10 * small["megabytes"]
    assert min(each[name] for each in (small, mobile) for name in ("multiplications", "milliseconds")) > 0


def test_the_proposed_run_is_a_whole_one(document: dict, compared: Path) -> None:
    best = document["chosen"]
    assert best["model"] == chosen([Row(**each) for each in document["rows"]]).model
    assert run.load_model(compared / best["run"]).output_shape == (None, 4)


def test_the_report_shows_the_table_and_the_front(document: dict, compared: Path) -> None:
    page = (compared / "report.html").read_text()
    assert "phantom" in page
    assert "the test images were not looked at" in page
    rows = [re.findall("<td>(.*?)</td>", each) for each in re.findall("<tr>(.*?)</tr>", page)][1:]
    best = document["chosen"]["model"]
    assert [cells[0] for cells in rows] == [f"{name} *" if name == best else name for name in MODELS]
    for cells, each in zip(rows, document["rows"], strict=True):
        percent = [100 * value for value in (np.mean(each["accuracies"]), each["low"], each["high"])]
        assert [float(part) for part in re.findall(r"[\d.]+", cells[2])] == pytest.approx(percent, abs=0.051)
        assert float(cells[8].removesuffix(" ms")) == pytest.approx(each["milliseconds"], abs=0.051)
        assert float(cells[6]) == pytest.approx(each["multiplications"], abs=0.00051)
    with Image.open(compared / "front.png") as image:
        assert image.width > 600


def stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def kill_when(there: Path, command: list[str]) -> None:
    """Run the command until a file is there, and then no longer."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as child:
        deadline = time.monotonic() + 120
        while not there.exists():
            assert child.poll() is None, child.communicate()[0].decode()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)


def test_killed_twice_it_ends_with_the_same_table_and_does_nothing_again(
    unreadable: DataSet, document: dict, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = [str(unreadable.folder), str(tmp_path), "--models", "small", *SIZES]
    command = [sys.executable, "-m", "training.compare", *arguments]
    small = tmp_path / "small"
    kill_when(small / "search" / "trial-0" / "checkpoint" / "state.json", command)  # inside a run
    assert not (small / "search" / "trial-0" / run.METADATA).exists()
    kill_when(small / "seed-0" / run.METADATA, command)  # after one
    done = stamps(small / "search" / "trial-0") | stamps(small / "seed-0")
    assert not (small / "seed-1" / run.METADATA).exists()
    with caplog.at_level(logging.INFO):
        assert main(arguments) == 0
    done = {path: stamp for path, stamp in done.items() if "checkpoint" not in path.parts}
    assert {path.name for path in done} >= {run.METADATA, run.MODEL, run.VALIDATION, "epochs.csv"}
    assert stamps(small).items() >= done.items()
    again = json.loads((tmp_path / COMPARISON).read_text())
    assert again["chosen"] == {"model": "small", "run": "small/seed-0"}
    mine, other = ({**each, "milliseconds": 0} for each in (again["rows"][0], document["rows"][0]))
    assert mine.pop("megabytes") == pytest.approx(other.pop("megabytes"), abs=1e-3)  # it has the seconds in its card
    assert mine == other
    assert any(re.match(r"small +\d+\.\d % \(.*\) +\d+\.\d ms", message) for message in caplog.messages)
    assert f"proposed: small; written: {tmp_path / 'report.html'}" in caplog.messages


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--models", "small,Xcepton"], 1, "there is no model Xcepton; did you mean Xception"),
        (["--models", ","], 2, "--models names no network"),
        (["--seeds", "0"], 2, "--seeds must be 1 or more"),
        (["--trials", "-1"], 2, "--trials must be 0 or more"),
        (["--trial-epochs", "0"], 2, "--trial-epochs must be 1 or more"),
        (["--models", "small", "--weights", "imagenet"], 1, "small has no pretrained weights"),
    ],
)
def test_bad_options_are_refused_before_anything_is_made(
    options: list[str],
    status: int,
    message: str,
    phantom_data: DataSet,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(phantom_data.folder), str(tmp_path / "out"), *options])
    assert stopped.value.code == status
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_fastest_that_is_about_as_good_is_chosen() -> None:
    best, close, poor = row("best", 0.95, 80), row("close", 0.94, 20), row("poor", 0.90, 5)
    assert chosen([poor, best, close]) == close
    assert chosen([best, row("below", 0.929, 20)]) == best
    assert chosen([best, row("at its end", 0.93, 79)]).model == "at its end"
    assert chosen([best]) == best


def test_one_is_chosen_though_rounding_puts_the_interval_above_the_mean() -> None:
    third = Row("third", 1e-3, [1 / 3], np.nextafter(1 / 3, 1), 0.4, 10**6, 0.5, 4.0, 5.0, 224)
    assert chosen([third]) == third


def test_the_front_holds_what_no_other_beats() -> None:
    rows = [row("slow", 0.95, 80), row("worse", 0.93, 90), row("fast", 0.90, 5), row("middle", 0.94, 20)]
    rows += [row("as fast", 0.89, 5), row("as good", 0.94, 30)]
    assert [each.model for each in front(rows)] == ["fast", "middle", "slow"]
    assert front(rows[:1]) == rows[:1]
    line = draw(rows).axes[0].lines[0]
    assert np.column_stack(line.get_data()).tolist() == [[5, 0.90], [20, 0.94], [80, 0.95]]


def test_the_mean_of_the_seeds_counts() -> None:
    assert Row("m", 1e-3, [0.5, 0.75, 1.0], 0.6, 0.9, 1, 1.0, 1.0, 1.0, 32).accuracy == 0.75
