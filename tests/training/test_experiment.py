"""From images to a served model in one command, and that it goes on where it was stopped."""

import json
import logging
from pathlib import Path
from shutil import copytree

import pytest

from brain_tumor.contract import METADATA_ASSET
from brain_tumor.metadata import ModelMetadata
from training.data import DataSet
from training.experiment import EXPERIMENT
from training.experiment.__main__ import main
from training.experiment.estimate import StepTimes, seconds_left, words
from training.experiment.served import check
from training.serving import ServingError
from training.train import run
from training.train.recipes import TWO_PHASE, options, with_epochs

OPTIONS = ("--models", "small", "--size", "32", "--epochs", "1", "--seeds", "1", "--trials", "0")


@pytest.fixture(scope="module")
def out(phantom_data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiment") / "out"
    assert main([str(phantom_data.folder), str(folder), *OPTIONS]) == 0
    return folder


@pytest.fixture(scope="module")
def document(out: Path) -> dict:
    return json.loads((out / EXPERIMENT).read_text())


def test_every_stage_leaves_its_results(out: Path, document: dict, phantom_data: DataSet) -> None:
    assert document["run"] == "compare/small/seed-0"
    final = out / document["run"]
    for file in ("explore/explore.json", "audit/groups.json", "compare/compare.json", "report.html"):
        assert (out / file).exists(), file
    card = run.read_metadata(final)
    assert (final / "card.md").exists()
    assert card.training["fingerprint"] == document["fingerprint"] == phantom_data.fingerprint()
    assert card.training["audited"]
    assert card.metrics["deduplicated_test"]["images"] <= card.metrics["test"]["images"]
    assert any("balanced accuracy" in limit for limit in card.documentation["limits"])


def test_the_served_model_is_the_evaluated_one_with_its_whole_card(out: Path, document: dict) -> None:
    assert document["version"] == "models/brain-tumor/1"
    assert document["served"]["images"] == 48
    assert document["served"]["largest_difference"] < 1e-3
    kept = ModelMetadata.from_json((out / document["version"] / METADATA_ASSET).read_text())
    card = run.read_metadata(out / document["run"])
    assert (kept.metrics, kept.documentation) == (card.metrics, card.documentation)


def test_every_link_of_its_page_leads_somewhere(out: Path) -> None:
    page = (out / "report.html").read_text()
    links = [part.split('"')[0] for part in page.split('href="')[1:]]
    assert len(links) == 7
    for link in links:
        assert (out / link).exists(), link


def test_done_again_it_does_nothing_again(
    out: Path, phantom_data: DataSet, caplog: pytest.LogCaptureFixture, document: dict
) -> None:
    caplog.set_level(logging.INFO)
    kept = ("explore/report.html", "audit/report.html", f"{document['run']}/model.keras")
    before = {file: (out / file).stat().st_mtime_ns for file in (*kept, f"{document['version']}/saved_model.pb")}
    assert main([str(phantom_data.folder), str(out), *OPTIONS]) == 0
    assert {file: (out / file).stat().st_mtime_ns for file in before} == before
    assert [path.name for path in (out / "models" / "brain-tumor").iterdir()] == ["1"]
    assert "timing a few steps" not in caplog.text
    assert "together about 61 s" in caplog.text


def test_how_long_it_will_take_is_said_before_anything_is_done(
    phantom_data: DataSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert main([str(phantom_data.folder), str(tmp_path), "--estimate", *OPTIONS]) == 0
    assert "together about" in caplog.text
    assert not list(tmp_path.iterdir())


def test_time_is_counted_over_the_epochs_that_are_left(tmp_path: Path) -> None:
    made = with_epochs(options(TWO_PHASE, "MobileNet", "imagenet"), 10)
    times = StepTimes({"head": 1.0, "all": 3.0}, first=20.0)
    reading = 3.2
    whole = seconds_left(made, times, tmp_path, 3200, 0)
    assert whole == pytest.approx(100 * (5 * 1 + 10 * 3) + 2 * 20 + reading)
    (tmp_path / "epochs.csv").write_text("epoch,phase\n" + "1,head\n" * 5 + "6,all\n" * 4)
    assert seconds_left(made, times, tmp_path, 3200, 0) == pytest.approx(100 * 6 * 3 + 2 * 20 + reading)


@pytest.mark.parametrize(
    ("seconds", "said"), [(3, "3 s"), (300, "5 min"), (7380, "2 h 3 min"), (200_000, "2 days 7 h")]
)
def test_times_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert words(seconds) == said


def test_a_served_model_that_answers_otherwise_is_found(
    out: Path, document: dict, phantom_data: DataSet, tmp_path: Path
) -> None:
    final = Path(copytree(out / document["run"], tmp_path / "run"))
    table = final / "evaluation" / "predictions.csv"
    head, *rows = table.read_text().splitlines()
    cells = rows[0].split(",")
    cells[5] = f"{1 - float(cells[5]):.6f}"
    table.write_text("\n".join([head, ",".join(cells), *rows[1:]]) + "\n")
    with pytest.raises(ServingError, match="differs from what was evaluated"):
        check(out / document["version"], final, phantom_data, run.read_metadata(final))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "there is no folder"),
        (["kaggle/3"], "there is no kaggle/3"),
        (["DATA", "--models", "Xcepton"], "did you mean Xception"),
        (["DATA", "--seeds", "0"], "--seeds must be 1 or more"),
    ],
)
def test_what_cannot_be_done_is_said_first(
    arguments: list[str], message: str, phantom_data: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, *others = (str(phantom_data.folder) if each == "DATA" else each for each in arguments)
    with pytest.raises(SystemExit) as stopped:
        main([source, str(tmp_path / "out"), *others])
    assert stopped.value.code != 0
    assert message in capsys.readouterr().err
