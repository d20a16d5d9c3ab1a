"""From images to a served model in one command, and that it goes on where it was stopped."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from brain_tumor.contract import METADATA_ASSET
from brain_tumor.metadata import NO_ANTIALIAS, ImageSpec, ModelMetadata
from training.data.data_set import DataSet
from training.data.groups import GROUPS_FILE, load
from training.experiment.__main__ import main
from training.experiment.pipeline import EXPERIMENT, is_evaluated
from training.experiment.served import check
from training.serving import ServingError
from training.train import run

OPTIONS = ("--models", "small", "--size", "32", "--epochs", "1", "--seeds", "1", "--trials", "0")
# A preprocessing that nothing does by default: were it left out anywhere, the served model would see other images.
PREPROCESSING = ("--resampling", NO_ANTIALIAS, "--color-mode", "grayscale", "--crop-to-head", "--pad-to-aspect-ratio")
OPTIONS += PREPROCESSING


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
    metadata = run.read_metadata(final)
    assert (final / "card.md").exists()
    assert metadata.training["fingerprint"] == document["fingerprint"] == phantom_data.fingerprint()
    assert metadata.training["audited"]
    assert metadata.metrics["deduplicated_test"]["images"] <= metadata.metrics["test"]["images"]
    assert any("balanced accuracy" in limit for limit in metadata.documentation["limits"])


def test_the_served_model_is_the_evaluated_one_with_all_its_metadata(out: Path, document: dict) -> None:
    assert document["version"] == "models/brain-tumor/1"
    assert document["served"]["images"] == 48
    assert document["served"]["largest_difference"] < 1e-3
    kept = ModelMetadata.from_json((out / document["version"] / METADATA_ASSET).read_text())
    expected = run.read_metadata(out / document["run"])
    assert kept.image == ImageSpec(32, 32, NO_ANTIALIAS, "grayscale", crop_to_head=True, pad_to_aspect_ratio=True)
    assert (kept.metrics, kept.documentation) == (expected.metrics, expected.documentation)


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


def test_another_class_without_tumour_is_a_reason_to_evaluate_again(
    out: Path, document: dict, phantom_data: DataSet
) -> None:
    metadata, groups = run.read_metadata(out / document["run"]), load(out / "audit" / GROUPS_FILE, phantom_data)
    assert is_evaluated(metadata, phantom_data, groups)
    assert not is_evaluated(metadata, replace(phantom_data, named_healthy="glioma"), groups)
    assert not is_evaluated(metadata, phantom_data, replace(groups, copies=groups.groups))


def test_the_estimate_does_nothing_else(
    phantom_data: DataSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert main([str(phantom_data.folder), str(tmp_path), "--estimate", *OPTIONS]) == 0
    assert "together about" in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_served_model_with_other_predictions_is_refused(
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
        (["DATA", "--healthy", "none"], "there is no class none to be the one without tumour"),
    ],
)
def test_what_cannot_be_done_is_refused_first(
    arguments: list[str], message: str, phantom_data: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, *others = (str(phantom_data.folder) if argument == "DATA" else argument for argument in arguments)
    with pytest.raises(SystemExit) as stopped:
        main([source, str(tmp_path / "out"), *others])
    assert stopped.value.code != 0
    assert message in capsys.readouterr().err
