"""The command on a run of seconds: its files agree with one another, copies are left out, bad input is explained."""

import csv
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, roc_auc_score

from brain_tumor.metadata import ModelMetadata
from training.data import DataSet, find
from training.data.groups import Groups, by_patient
from training.evaluate import EVALUATION, evaluate, unseen
from training.evaluate.__main__ import main
from training.evaluate.ood import strangers_flagged
from training.train import run
from training.train.ood import TEST_FAMILIES, training_samples
from training.train.recipes import Options


@pytest.fixture(scope="module")
def evaluation(evaluated_run: Path) -> dict:
    return json.loads((evaluated_run / "evaluation" / EVALUATION).read_text())


@pytest.fixture(scope="module")
def predictions(evaluated_run: Path) -> list[dict[str, str]]:
    with (evaluated_run / "evaluation" / "predictions.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def copy(trained_run: Path, tmp_path: Path) -> Path:
    """A finished run that may be spoilt."""
    return Path(copytree(trained_run, tmp_path / "run"))


def test_everything_is_written(evaluated_run: Path) -> None:
    names = {path.name for path in (evaluated_run / "evaluation").iterdir()}
    images = {"confusion.png", "roc.png", "reliability.png", "mistakes.png"}
    assert names == {EVALUATION, "report.html", "predictions.csv", *images}
    for name in images:
        with Image.open(evaluated_run / "evaluation" / name) as image:
            assert image.width > 300


def test_the_card_has_the_figures_and_keeps_the_rest(evaluated_run: Path, trained_run: Path, evaluation: dict) -> None:
    card, before = run.read_metadata(evaluated_run), run.read_metadata(trained_run)
    assert card.metrics == evaluation
    assert (card.training, card.versions, card.temperature) == (before.training, before.versions, before.temperature)
    for name, value in before.metrics["validation"].items():
        assert evaluation["validation"][name] == pytest.approx(value, abs=1e-4)


def test_the_figures_are_those_of_the_predictions(
    predictions: list[dict[str, str]], evaluation: dict, phantom_data: DataSet
) -> None:
    assert [row["file"] for row in predictions] == list(phantom_data.testing)
    assert [row["truth"] for row in predictions] == [Path(row["file"]).parent.name for row in predictions]
    kept = [row for row in predictions if row["deduplicated"] == "1"]
    for rows, figures in ((predictions, evaluation["test"]), (kept, evaluation["deduplicated_test"])):
        truth, answers = ([row[name] for row in rows] for name in ("truth", "answer"))
        assert figures["accuracy"] == pytest.approx(accuracy_score(truth, answers), abs=1e-4)
        assert np.sum(figures["confusion_matrix"]) == figures["images"] == len(rows)
        assert figures["groups"] == len({row["group"] for row in rows})
        assert figures["tumours"] == sum(name != "notumor" for name in truth)
        for name in phantom_data.class_names:
            scores = [float(row[name]) for row in rows]
            expected = roc_auc_score([each == name for each in truth], scores)
            assert figures["auroc"][name] == pytest.approx(expected, abs=5e-3)  # six decimals make ties


def test_copies_are_left_out(evaluation: dict, predictions: list[dict[str, str]], phantom_data: DataSet) -> None:
    raw, honest = evaluation["test"], evaluation["deduplicated_test"]
    assert (raw["images"], raw["groups"]) == (48, 22)  # 24 patients, of which two and again two became one
    assert (honest["images"], honest["groups"]) == (43, 21)
    assert raw["auroc"] != honest["auroc"]
    left_out = [row["file"] for row in predictions if row["deduplicated"] == "0"]
    assert left_out == [*phantom_data.testing[:4], phantom_data.testing[14]]


def test_probabilities_are_calibrated_and_flags_are_those_of_the_threshold(
    predictions: list[dict[str, str]], evaluation: dict, evaluated_run: Path, phantom_data: DataSet
) -> None:
    card = run.read_metadata(evaluated_run)
    flagged = [float(row["out_of_distribution"]) > card.out_of_distribution_threshold for row in predictions]
    assert evaluation["scans_flagged"] == pytest.approx(np.mean(flagged), abs=1e-4)
    probabilities = np.array([[float(row[name]) for name in card.class_names] for row in predictions])
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    truth = phantom_data.labels(row["file"] for row in predictions)
    loss = -np.log(probabilities[np.arange(48), truth]).mean()
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


def test_strangers_are_measured_in_shares_that_their_seed_repeats(evaluated_run: Path, evaluation: dict) -> None:
    shares = evaluation["strangers_flagged"]
    assert set(shares) == set(TEST_FAMILIES)
    assert all(0 <= share <= 1 for share in shares.values())
    model = run.load_model(evaluated_run)
    assert strangers_flagged(model, 32, run.read_metadata(evaluated_run).out_of_distribution_threshold) == shares
    assert set(strangers_flagged(model, 32, -np.inf).values()) == {1.0}
    assert set(strangers_flagged(model, 32, np.inf).values()) == {0.0}


def test_no_family_that_measures_is_shown_in_training() -> None:
    code = training_samples.__code__
    inner = [constant for constant in code.co_consts if hasattr(constant, "co_names")]
    shown = {name for each in (code, *inner) for name in each.co_names}
    assert {"_shapes", "_false_colours"} <= shown
    assert not shown & {family.__name__ for family in TEST_FAMILIES.values()}


def test_evaluating_again_gives_the_same(
    evaluated_run: Path, phantom_data: DataSet, audited: Groups, tmp_path: Path
) -> None:
    again = Path(copytree(evaluated_run, tmp_path / "again"))
    evaluate(again, phantom_data, audited)
    for name in (EVALUATION, "predictions.csv", "report.html", "confusion.png", "mistakes.png"):
        assert (again / "evaluation" / name).read_bytes() == (evaluated_run / "evaluation" / name).read_bytes(), name
    assert (again / run.METADATA).read_bytes() == (evaluated_run / run.METADATA).read_bytes()


def test_a_run_without_a_mistake_and_without_an_audit(squares_run: Path) -> None:
    metrics = run.read_metadata(squares_run).metrics
    assert metrics["test"]["accuracy"] == 1
    assert metrics["deduplicated_test"] is None
    assert "tumours" not in metrics["test"]
    page = (squares_run / "evaluation" / "report.html").read_text()
    assert "every test image was answered rightly" in page
    assert "No audit was made" in page
    assert not (squares_run / "evaluation" / "mistakes.png").exists()


def groups_of(found: DataSet, groups: dict[str, int], copies: dict[str, int]) -> Groups:
    alone = by_patient(found)
    return Groups(alone.groups | groups, alone.copies | copies, audited=True)


def test_unseen_are_test_images_without_a_training_image_in_their_group_and_one_of_each_set_of_copies(
    squares: DataSet,
) -> None:
    first, second, third, fourth = squares.testing[:4]
    train = squares.training[0]
    assert unseen(squares, groups_of(squares, {}, {})).all()
    of_training = groups_of(squares, {train: 900, second: 900}, {})  # no copy, but the same patient
    assert unseen(squares, of_training).tolist() == [True, False, *[True] * 10]
    of_each_other = groups_of(squares, dict.fromkeys((first, third, fourth), 900), dict.fromkeys((first, fourth), 901))
    assert unseen(squares, of_each_other).tolist() == [True, True, True, False, *[True] * 8]
    seen_copy = groups_of(squares, dict.fromkeys((train, first, third), 900), dict.fromkeys((first, third), 901))
    assert unseen(squares, seen_copy).tolist() == [False, True, False, *[True] * 9]


def test_training_takes_nothing_from_the_test_images(
    trained_run: Path, phantom_data: DataSet, tiny: Options, tmp_path: Path
) -> None:
    """It gives the same weights where no test image can be decoded."""
    folder = Path(copytree(phantom_data.folder, tmp_path / "data"))
    for file in phantom_data.testing:
        (folder / file).write_bytes(b"no image")
    garbled = find(folder)
    card = run.train(garbled, by_patient(garbled), tiny, tmp_path / "run")
    one, other = (run.load_model(each).get_weights() for each in (trained_run, tmp_path / "run"))
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert card.metrics == run.read_metadata(trained_run).metrics
    with pytest.raises(Exception, match=r"cannot read .*Testing/glioma"):
        evaluate(tmp_path / "run", garbled, by_patient(garbled))


def test_the_command_says_both_accuracies_and_where_they_lie(
    copy: Path, phantom_data: DataSet, audited: Groups, evaluation: dict, caplog: pytest.LogCaptureFixture
) -> None:
    audited.save(copy / "groups.json", phantom_data.fingerprint())
    with caplog.at_level(logging.INFO):
        assert main([str(copy), str(phantom_data.folder), "--groups", str(copy / "groups.json")]) == 0
    for name, title in (("test", "48 test images"), ("deduplicated_test", "43 of them without copies")):
        accuracy, interval = evaluation[name]["accuracy"], evaluation[name]["intervals"]["accuracy"]
        low, high = (100 * value for value in interval)
        assert f"accuracy on {title}: {100 * accuracy:.2f} % ({low:.2f} to {high:.2f})" in caplog.messages
    assert json.loads((copy / "evaluation" / EVALUATION).read_text()) == evaluation


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


def remove_the_card(folder: Path) -> None:
    (folder / run.METADATA).unlink()


def swap_the_classes(folder: Path) -> None:
    document = json.loads((folder / run.METADATA).read_text())
    document["class_names"].reverse()
    (folder / run.METADATA).write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (remove_the_model, r"model\.keras is missing or damaged"),
        (cut_the_model, r"model\.keras is missing or damaged"),
        (turn_bits_of_the_model, r"model\.keras is missing or damaged"),
        (remove_validation, r"holds no validation\.npz of a finished run"),
        (cut_validation, r"holds no validation\.npz of a finished run"),
        (empty_validation, r"holds no validation\.npz of a finished run"),
        (remove_the_card, r"holds no finished run: make one with python -m training\.train"),
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
    refused([str(copy), str(phantom_data.folder)], message, capsys)
    assert {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()} == before
    assert not (copy / "evaluation" / EVALUATION).exists()


def test_other_images_are_refused(copy: Path, squares: DataSet, capsys: pytest.CaptureFixture[str]) -> None:
    refused([str(copy), str(squares.folder)], "trained on other images than .*some images", capsys)


def test_a_folder_that_is_none_is_not_made(
    tmp_path: Path, phantom_data: DataSet, capsys: pytest.CaptureFixture[str]
) -> None:
    refused([str(tmp_path / "typo"), str(phantom_data.folder)], "holds no finished run", capsys)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_found_first(
    copy: Path, phantom_data: DataSet, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "evaluation").write_text("in the way")
    refused([str(copy), str(phantom_data.folder)], "cannot write to .*evaluation", capsys)


def test_groups_of_other_images_are_refused(
    copy: Path, phantom_data: DataSet, audited: Groups, capsys: pytest.CaptureFixture[str]
) -> None:
    audited.save(copy / "groups.json", "another fingerprint")
    arguments = [str(copy), str(phantom_data.folder), "--groups", str(copy / "groups.json")]
    refused(arguments, "belongs to other images", capsys)


def test_a_test_set_that_training_has_seen_all_of_is_refused(copy: Path, phantom_data: DataSet) -> None:
    groups = groups_of(phantom_data, dict.fromkeys((*phantom_data.training, *phantom_data.testing), 0), {})
    with pytest.raises(Exception, match=r"every test image of .* belongs together with a training image"):
        evaluate(copy, phantom_data, groups)


def test_an_evaluation_drops_what_the_card_said_of_an_older_one(squares_run: Path, squares: DataSet, tmp_path) -> None:
    folder = Path(copytree(squares_run, tmp_path / "run"))
    document = json.loads((folder / run.METADATA).read_text()) | {"documentation": {"limits": ["It took 9 of 9."]}}
    (folder / run.METADATA).write_text(json.dumps(document))
    assert evaluate(folder, squares, by_patient(squares)).documentation == {}
    assert ModelMetadata.from_json((folder / run.METADATA).read_text()).documentation == {}


def refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 1
    said = capsys.readouterr().err
    assert re.search(f"python -m training.evaluate: .*{message}", said), said
