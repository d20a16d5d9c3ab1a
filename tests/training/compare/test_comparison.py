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

from tests.processes import ROOT
from tests.training.configurations import configuration
from tests.training.eagerly import eagerly
from training.compare.__main__ import main
from training.compare.comparison import COMPARISON, compare
from training.compare.plan import Plan
from training.compare.table import Row, select_model
from training.data.data_set import DataSet, find
from training.data.groups import by_patient
from training.train import run

MODELS = ("small", "MobileNet")
SIZES = ("--size", "32", "--epochs", "1", "--trial-epochs", "1", "--trials", "1", "--seeds", "2")


@pytest.fixture(scope="module")
def unreadable(phantom_data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """The phantom with test images that cannot be read, so that whatever reads one fails."""
    folder = Path(copytree(phantom_data.folder, tmp_path_factory.mktemp("unreadable") / "data"))
    for file in phantom_data.testing:
        (folder / file).write_bytes(b"no image")
    return find(folder)


@pytest.fixture(scope="module")
def compared(unreadable: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network, and then, beside it, one that is as deep as a real one; both without graphs."""
    out, groups = tmp_path_factory.mktemp("compared"), by_patient(unreadable)
    small, deep = ([configuration(name, epochs=1) for name in names] for names in (MODELS[:1], MODELS))
    with eagerly():
        compare(unreadable, groups, Plan(small, range(2), trials=1, trial_epochs=1), out)
        compare(unreadable, groups, Plan(deep, range(2), trials=1, trial_epochs=1), out)
    return out


@pytest.fixture(scope="module")
def document(compared: Path) -> dict:
    return json.loads((compared / COMPARISON).read_text())


def test_every_network_has_a_row_that_its_runs_bear_out(document: dict, compared: Path) -> None:
    assert [row["model"] for row in document["rows"]] == list(MODELS)
    assert (document["images"], document["seeds"], document["trials"]) == (10, [0, 1], 1)
    for row in document["rows"]:
        runs = [run.read_metadata(compared / row["model"] / f"seed-{seed}") for seed in (0, 1)]
        accuracies = [metadata.metrics["validation"]["accuracy"] for metadata in runs]
        assert row["accuracies"] == pytest.approx(accuracies, abs=1e-4)
        assert row["low"] <= np.mean(row["accuracies"]) <= row["high"]
        assert row["parameters"] == runs[0].training["parameters"]
        assert row["side"] == 32
        rates = {metadata.training["options"]["phases"][-1]["learning_rate"] for metadata in runs}
        assert rates == {row["learning_rate"]}
    small, mobile = document["rows"]
    assert mobile["parameters"] > 10 * small["parameters"]
    assert mobile["megabytes"] > 10 * small["megabytes"]
    assert min(row[name] for row in (small, mobile) for name in ("multiplications", "milliseconds")) > 0


def test_the_proposed_run_is_a_whole_one(document: dict, compared: Path) -> None:
    selected = document["selected"]
    assert selected["model"] == select_model([Row(**row) for row in document["rows"]]).model
    assert run.load_model(compared / selected["run"]).output_shape == (None, 4)


def test_the_report_shows_the_table_and_the_pareto_front(document: dict, compared: Path) -> None:
    page = (compared / "report.html").read_text()
    assert "phantom" in page
    assert "the test images were not used" in page
    rows = [re.findall("<td>(.*?)</td>", line) for line in re.findall("<tr>(.*?)</tr>", page)][1:]
    selected = document["selected"]["model"]
    assert [cells[0] for cells in rows] == [f"{name} *" if name == selected else name for name in MODELS]
    for cells, row in zip(rows, document["rows"], strict=True):
        percent = [100 * value for value in (np.mean(row["accuracies"]), row["low"], row["high"])]
        assert [float(part) for part in re.findall(r"[\d.]+", cells[2])] == pytest.approx(percent, abs=0.051)
        assert float(cells[8].removesuffix(" ms")) == pytest.approx(row["milliseconds"], abs=0.051)
        assert float(cells[6]) == pytest.approx(row["multiplications"], abs=0.00051)
    with Image.open(compared / "pareto-front.png") as image:
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
    assert again["selected"] == {"model": "small", "run": "small/seed-0"}
    mine, other = ({**row, "milliseconds": 0} for row in (again["rows"][0], document["rows"][0]))
    assert mine.pop("megabytes") == pytest.approx(other.pop("megabytes"), abs=1e-3)  # its metadata hold the seconds
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
