"""The command on a small run: its files agree with one another, copies are left out, bad input is explained."""

import csv
import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, roc_auc_score

from brain_tumor.quality.healthy import HEALTHY_CLASS
from brain_tumor.quality.ood_samples import TEST_FAMILIES
from tests.training.evaluate.audited_groups import audited_groups
from tests.training.refusal import assert_refused
from training.data.data_set import DataSet, find
from training.data.groups import Groups, by_patient
from training.evaluate.__main__ import main
from training.evaluate.evaluation import EVALUATION, evaluate, healthy_of
from training.evaluate.ood import ood_samples_flagged
from training.evaluate.operating_points import ANY_TUMOUR
from training.train import run
from training.train.ood import training_samples
from training.train.options import Configuration


@pytest.fixture(scope="module")
def evaluation(evaluated_run: Path) -> dict:
    return json.loads((evaluated_run / "evaluation" / EVALUATION).read_text())


@pytest.fixture(scope="module")
def predictions(evaluated_run: Path) -> list[dict[str, str]]:
    with (evaluated_run / "evaluation" / "predictions.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def copy(trained_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, which a test may damage."""
    return Path(copytree(trained_run, tmp_path / "run"))


def test_everything_is_written(evaluated_run: Path) -> None:
    names = {path.name for path in (evaluated_run / "evaluation").iterdir()}
    images = {"confusion.png", "roc.png", "reliability.png", "mistakes.png"}
    assert names == {EVALUATION, "report.html", "report.md", "predictions.csv", *images}
    for name in images:
        with Image.open(evaluated_run / "evaluation" / name) as image:
            assert image.width > 300


def test_the_metadata_gain_the_metrics_and_keep_the_rest(
    evaluated_run: Path, trained_run: Path, evaluation: dict
) -> None:
    metadata, before = run.read_metadata(evaluated_run), run.read_metadata(trained_run)
    assert metadata.metrics == evaluation
    assert (metadata.training, metadata.versions, metadata.temperature) == (
        before.training,
        before.versions,
        before.temperature,
    )
    for name, value in before.metrics["validation"].items():
        assert evaluation["validation"][name] == pytest.approx(value, abs=1e-4)


def test_the_metrics_are_those_of_the_predictions(
    predictions: list[dict[str, str]], evaluation: dict, phantom_data: DataSet
) -> None:
    assert [row["file"] for row in predictions] == list(phantom_data.testing)
    assert [row["label"] for row in predictions] == [Path(row["file"]).parent.name for row in predictions]
    kept = [row for row in predictions if row["deduplicated"] == "1"]
    for rows, metrics in ((predictions, evaluation["test"]), (kept, evaluation["deduplicated_test"])):
        labels, predicted = ([row[name] for row in rows] for name in ("label", "prediction"))
        assert metrics["accuracy"] == pytest.approx(accuracy_score(labels, predicted), abs=1e-4)
        assert np.sum(metrics["confusion_matrix"]) == metrics["images"] == len(rows)
        assert metrics["groups"] == len({row["group"] for row in rows})
        assert metrics["tumours"] == sum(label != "notumor" for label in labels)
        for name in phantom_data.class_names:
            scores = [float(row[name]) for row in rows]
            expected = roc_auc_score([label == name for label in labels], scores)
            assert metrics["auroc"][name] == pytest.approx(expected, abs=5e-3)  # six decimals make ties


def test_copies_are_left_out(evaluation: dict, predictions: list[dict[str, str]], phantom_data: DataSet) -> None:
    raw, deduplicated = evaluation["test"], evaluation["deduplicated_test"]
    assert (raw["images"], raw["groups"]) == (48, 22)  # 24 patients, of which two and again two became one
    assert (deduplicated["images"], deduplicated["groups"]) == (43, 21)
    assert raw["auroc"] != deduplicated["auroc"]
    left_out = [row["file"] for row in predictions if row["deduplicated"] == "0"]
    assert left_out == [*phantom_data.testing[:4], phantom_data.testing[14]]


def test_probabilities_are_calibrated_and_flags_are_those_of_the_threshold(
    predictions: list[dict[str, str]], evaluation: dict, evaluated_run: Path, phantom_data: DataSet
) -> None:
    metadata = run.read_metadata(evaluated_run)
    flagged = [float(row["out_of_distribution"]) > metadata.out_of_distribution_threshold for row in predictions]
    assert evaluation["scans_flagged"] == pytest.approx(np.mean(flagged), abs=1e-4)
    probabilities = np.array([[float(row[name]) for name in metadata.class_names] for row in predictions])
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    labels = phantom_data.labels(row["file"] for row in predictions)
    loss = -np.log(probabilities[np.arange(48), labels]).mean()
    assert evaluation["test"]["negative_log_likelihood"] == pytest.approx(loss, abs=1e-3)


def test_the_report_shows_raw_and_de_duplicated_side_by_side(evaluated_run: Path, evaluation: dict) -> None:
    page = (evaluated_run / "evaluation" / "report.html").read_text()
    assert "phantom" in page
    rows = [re.findall("<td>(.*?)</td>", row) for row in re.findall("<tr>(.*?)</tr>", page)]
    table = {row[0]: row[1:] for row in rows if row}
    for name, title in (("images", "images"), ("accuracy", "accuracy"), ("macro_f1", "macro f1")):
        for cell, part in zip(table[title], ("test", "deduplicated_test"), strict=True):
            assert float(cell.split(" ")[0]) == evaluation[part][name]
    assert set(table) >= {*TEST_FAMILIES, "sensitivity, glioma", "AUROC, pituitary", "tumours missed", "test scans"}
    for name in re.findall('src="(.*?)"', page):
        assert (evaluated_run / "evaluation" / name).exists()


def test_the_shares_of_ood_samples_flagged_are_repeatable(evaluated_run: Path, evaluation: dict) -> None:
    shares = evaluation["ood_samples_flagged"]
    assert set(shares) == set(TEST_FAMILIES)
    assert all(0 <= share <= 1 for share in shares.values())
    model, metadata = run.load_model(evaluated_run), run.read_metadata(evaluated_run)
    assert ood_samples_flagged(model, metadata.image, metadata.out_of_distribution_threshold) == shares
    assert set(ood_samples_flagged(model, metadata.image, -np.inf, samples=5).values()) == {1.0}
    assert set(ood_samples_flagged(model, metadata.image, np.inf, samples=5).values()) == {0.0}


def test_no_family_of_the_test_is_shown_in_training() -> None:
    code = training_samples.__code__
    inner = [constant for constant in code.co_consts if hasattr(constant, "co_names")]
    shown = {name for block in (code, *inner) for name in block.co_names}
    assert {"_shapes", "_false_colours"} <= shown
    assert not shown & {family.__name__ for family in TEST_FAMILIES.values()}


def test_a_run_without_a_mistake_and_without_an_audit(squares_run: Path) -> None:
    metrics = run.read_metadata(squares_run).metrics
    assert metrics["test"]["accuracy"] == 1
    assert metrics["deduplicated_test"] is None
    assert "tumours" not in metrics["test"]
    page = (squares_run / "evaluation" / "report.html").read_text()
    assert "every prediction for a test image is right" in page
    assert "No audit was made" in page
    assert "none of the classes bright, dark|black is known as the one without tumour" in page
    assert not (squares_run / "evaluation" / "mistakes.png").exists()


def test_training_takes_nothing_from_the_test_images(
    trained_run: Path, phantom_data: DataSet, tiny: Configuration, tmp_path: Path
) -> None:
    """It gives the same weights where no test image can be decoded."""
    folder = Path(copytree(phantom_data.folder, tmp_path / "data"))
    for file in phantom_data.testing:
        (folder / file).write_bytes(b"no image")
    garbled = find(folder)
    metadata = run.train(garbled, by_patient(garbled), tiny, tmp_path / "run")
    weights, other = (run.load_model(folder).get_weights() for folder in (trained_run, tmp_path / "run"))
    for mine, theirs in zip(weights, other, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert metadata.metrics == run.read_metadata(trained_run).metrics
    with pytest.raises(Exception, match=r"cannot read .*Testing/glioma"):
        evaluate(tmp_path / "run", garbled, by_patient(garbled))


def test_the_command_logs_both_accuracies_and_writes_the_same_again(
    copy: Path,
    evaluated_run: Path,
    phantom_data: DataSet,
    audited: Groups,
    evaluation: dict,
    caplog: pytest.LogCaptureFixture,
) -> None:
    audited.save(copy / "groups.json", phantom_data.fingerprint())
    with caplog.at_level(logging.INFO):
        assert main([str(copy), str(phantom_data.folder), "--groups", str(copy / "groups.json")]) == 0
    for name, title in (("test", "48 test images"), ("deduplicated_test", "43 of them without copies")):
        accuracy, interval = evaluation[name]["accuracy"], evaluation[name]["intervals"]["accuracy"]
        low, high = (100 * value for value in interval)
        assert f"accuracy on {title}: {100 * accuracy:.2f} % ({low:.2f} to {high:.2f})" in caplog.messages
    for name in (EVALUATION, "predictions.csv", "report.html", "report.md", "confusion.png", "mistakes.png"):
        assert (copy / "evaluation" / name).read_bytes() == (evaluated_run / "evaluation" / name).read_bytes(), name
    assert (copy / run.METADATA).read_bytes() == (evaluated_run / run.METADATA).read_bytes()


def remove_the_model(folder: Path) -> None:
    (folder / run.MODEL).unlink()


def cut_the_model(folder: Path) -> None:
    (folder / run.MODEL).write_bytes((folder / run.MODEL).read_bytes()[:-5000])


def turn_bits_of_the_model(folder: Path) -> None:
    content = bytearray((folder / run.MODEL).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(255 - value for value in content[middle : middle + 2000])
    (folder / run.MODEL).write_bytes(content)


def remove_validation(folder: Path) -> None:
    (folder / run.VALIDATION).unlink()


def cut_validation(folder: Path) -> None:
    (folder / run.VALIDATION).write_bytes((folder / run.VALIDATION).read_bytes()[:100])


def empty_validation(folder: Path) -> None:
    (folder / run.VALIDATION).write_bytes(b"")


def remove_the_metadata(folder: Path) -> None:
    (folder / run.METADATA).unlink()


def swap_the_classes(folder: Path) -> None:
    document = json.loads((folder / run.METADATA).read_text())
    document["class_names"].reverse()
    (folder / run.METADATA).write_text(json.dumps(document))


@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")  # of Keras, before its error
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (remove_the_model, r"model\.keras is missing or damaged"),
        (cut_the_model, r"model\.keras is missing or damaged"),
        (turn_bits_of_the_model, r"model\.keras is missing or damaged"),
        (remove_validation, r"holds no validation\.npz of a finished run"),
        (cut_validation, r"holds no validation\.npz of a finished run"),
        (empty_validation, r"holds no validation\.npz of a finished run"),
        (remove_the_metadata, r"holds no finished run: make one with python -m training\.train"),
        (swap_the_classes, r"trained on other images"),
    ],
)
def test_a_run_that_cannot_be_evaluated_is_explained(
    spoil: Callable[[Path], None],
    message: str,
    copy: Path,
    phantom_data: DataSet,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(copy)
    before = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}
    assert_refused("evaluate", main, [str(copy), str(phantom_data.folder)], message, capsys)
    assert {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()} == before
    assert not (copy / "evaluation" / EVALUATION).exists()


def test_other_images_are_refused(copy: Path, squares: DataSet, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(
        "evaluate", main, [str(copy), str(squares.folder)], "trained on other images than .*some images", capsys
    )


def test_a_folder_that_does_not_exist_is_not_made(
    tmp_path: Path, phantom_data: DataSet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(
        "evaluate", main, [str(tmp_path / "typo"), str(phantom_data.folder)], "holds no finished run", capsys
    )
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_reported_first(
    copy: Path, phantom_data: DataSet, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "evaluation").write_text("in the way")
    assert_refused("evaluate", main, [str(copy), str(phantom_data.folder)], "cannot write to .*evaluation", capsys)


def test_groups_of_other_images_are_refused(
    copy: Path, phantom_data: DataSet, audited: Groups, capsys: pytest.CaptureFixture[str]
) -> None:
    audited.save(copy / "groups.json", "another fingerprint")
    arguments = [str(copy), str(phantom_data.folder), "--groups", str(copy / "groups.json")]
    assert_refused("evaluate", main, arguments, "belongs to other images", capsys)


def test_a_test_set_that_training_has_seen_all_of_is_refused(copy: Path, phantom_data: DataSet) -> None:
    groups = audited_groups(phantom_data, dict.fromkeys((*phantom_data.training, *phantom_data.testing), 0), {})
    with pytest.raises(Exception, match=r"every test image of .* belongs together with a training image"):
        evaluate(copy, phantom_data, groups)


def test_with_a_healthy_class_tumours_are_counted_and_statements_about_an_older_evaluation_go(
    squares_run: Path, squares: DataSet, tmp_path
) -> None:
    folder = Path(copytree(squares_run, tmp_path / "run"))
    document = json.loads((folder / run.METADATA).read_text()) | {"documentation": {"limits": ["It took 9 of 9."]}}
    (folder / run.METADATA).write_text(json.dumps(document))
    assert "tumours" not in run.read_metadata(folder).metrics["test"]
    named = replace(squares, named_healthy="bright")
    assert evaluate(folder, named, by_patient(squares)).documentation == {}
    metadata = run.read_metadata(folder)
    assert metadata.documentation == {}
    assert metadata.training[HEALTHY_CLASS] == "bright"
    assert (metadata.metrics["test"]["tumours"], metadata.metrics["test"]["tumours_missed"]) == (6, 0)
    assert metadata.metrics["operating_points"][0]["finds"] == ANY_TUMOUR
    assert healthy_of(metadata, squares) == "bright"


def test_the_class_without_tumour_of_an_older_run_is_known_by_its_name(
    trained_run: Path, phantom_data: DataSet, squares: DataSet
) -> None:
    metadata = run.read_metadata(trained_run)
    assert metadata.training[HEALTHY_CLASS] == "notumor"
    training = {name: value for name, value in metadata.training.items() if name != HEALTHY_CLASS}
    older = replace(metadata, training=training)
    assert healthy_of(older, phantom_data) == "notumor"
    assert healthy_of(older, squares) is None
    assert healthy_of(metadata, replace(phantom_data, named_healthy="glioma")) == "glioma"
