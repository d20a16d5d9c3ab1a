"""The model card agrees with the run's files, as well-formed Markdown and in the model's metadata."""

import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from brain_tumor.contract import INT8_METADATA, PHANTOM_NOTICE, RESEARCH_NOTICE
from brain_tumor.metadata import ImageSpec, ModelMetadata
from tests.training.refusal import assert_refused
from training.card import model_card
from training.card.__main__ import main
from training.card.statements import documentation
from training.data.data_set import DataSet
from training.data.groups import by_patient
from training.evaluate.evaluation import EVALUATION, evaluate
from training.train import run
from training.train.checkpoint import CheckpointError

# Collins et al. 2024, BMJ 385:e078378, table 2
TRIPOD_AI = (
    *("Title", "Abstract", "Background", "Objectives", "Data", "Participants", "Data preparation", "Outcome"),
    *("Predictors", "Sample size", "Missing data", "Analytical methods", "Class imbalance", "Fairness"),
    *("Model output", "Training versus evaluation", "Ethical approval", "Open science"),
    *("Patient and public involvement", "Participants (results)", "Model development", "Model specification"),
    *("Model performance", "Model updating", "Interpretation", "Limitations", "Usability"),
)


def carded(evaluated: Path, folder: Path, audit: object = None) -> tuple[str, ModelMetadata]:
    """The Markdown and the metadata of a copy of an evaluated run with a model card."""
    copytree(evaluated, folder)
    file = None
    if audit is not None:
        file = folder / "audit.json"
        file.write_text(json.dumps(audit))
    model_card.write(folder, file)
    return (folder / model_card.CARD).read_text(), run.read_metadata(folder)


@pytest.fixture(scope="module")
def folder(evaluated_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("card") / "run"
    carded(evaluated_run, out)
    return out


@pytest.fixture(scope="module")
def markdown(folder: Path) -> str:
    return (folder / model_card.CARD).read_text()


@pytest.fixture(scope="module")
def evaluation(folder: Path) -> dict:
    return json.loads((folder / "evaluation" / EVALUATION).read_text())


def tables(markdown: str) -> list[list[list[str]]]:
    """The rows of every table, without the line under the head."""
    tables: list[list[list[str]]] = [[]]
    for line in markdown.splitlines():
        if line.startswith("|"):
            tables[-1].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif tables[-1]:
            tables.append([])
    return [[rows[0], *rows[2:]] for rows in tables if rows]


def numbers(cell: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.?\d*", cell)]


def test_every_number_of_the_table_is_that_of_the_evaluation(markdown: str, evaluation: dict) -> None:
    head, *rows = tables(markdown)[0]
    assert head == ["metric", "Testing, raw", "Testing, de-duplicated", "Validation"]
    expected: dict[str, list[list[float]]] = {}
    for part in ("test", "deduplicated_test", "validation"):
        metrics = evaluation[part]
        cells = {"images": [metrics["images"]], "groups": [metrics["groups"]]}
        for name in ("accuracy", "macro_f1", "expected_calibration_error", "brier", "negative_log_likelihood"):
            cells[name.replace("_", " ")] = [metrics[name], *metrics["intervals"][name]]
        cells["tumours missed rate"] = [metrics["tumours_missed_rate"], *metrics["intervals"]["tumours_missed_rate"]]
        cells["tumours missed"] = [metrics["tumours_missed"], metrics["tumours"]]
        for name, title in (("sensitivity", "sensitivity"), ("specificity", "specificity"), ("auroc", "AUROC")):
            for inner, value in metrics[name].items():
                interval = metrics["intervals"][name][inner]
                cells[f"{title}, {inner}"] = [] if value is None else [value, *interval]
        for name, cell in cells.items():
            expected.setdefault(name, []).append(cell)
    assert {name: [numbers(cell) for cell in cells] for name, *cells in rows} == expected


def test_operating_points_and_ood_samples_are_those_of_the_evaluation(markdown: str, evaluation: dict) -> None:
    points, flagged = tables(markdown)[1][1:], tables(markdown)[2][1:]
    assert len(points) == len(evaluation["operating_points"]) == 15
    for row, point in zip(points, evaluation["operating_points"], strict=True):
        assert row[0] == point["finds"]
        shares = [100 * point[name] for name in ("wanted_sensitivity", "sensitivity", "specificity")]
        assert [numbers(row[1])[0], *numbers(row[3]), *numbers(row[4])] == pytest.approx(shares, abs=0.051)
        assert float(row[2]) == point["threshold"]
    assert {name: numbers(cell)[0] for name, cell in flagged} == pytest.approx(
        {name: 100 * rate for name, rate in evaluation["ood_samples_flagged"].items()}, abs=0.051
    )


def test_the_head_has_the_accuracies_and_the_phantoms_notice(markdown: str, evaluation: dict) -> None:
    head = " ".join(markdown.split("## Intended use")[0].split())
    assert head.startswith("# Model card: small on phantom")
    assert RESEARCH_NOTICE in head
    assert PHANTOM_NOTICE in head
    assert f"It is right on {100 * evaluation['test']['accuracy']:.1f} % of 48 test images" in head
    assert (
        f"on {100 * evaluation['deduplicated_test']['accuracy']:.1f} % of the 43 test images that training has not seen"
        in head
    )


def test_every_item_of_tripod_ai_is_named_and_has_a_text(markdown: str, folder: Path) -> None:
    named = [f"{number} {name}" for number, name in enumerate(TRIPOD_AI, 1)]
    items = run.read_metadata(folder).documentation["tripod_ai"]
    assert list(items) == named
    rows = tables(markdown)[3][1:]
    assert [row[0] for row in rows] == named
    assert all(len(text) > 4 for _, text in rows)


def test_the_methods_are_those_of_the_options(folder: Path) -> None:
    metadata = run.read_metadata(folder)
    items = metadata.documentation["tripod_ai"]
    methods = items["12 Analytical methods"]
    for text in ("small, from random weights", "recipe two-phase", "up to 3 epochs", "batch 8", "seed 0"):
        assert text in methods
    assert "the epoch of least validation loss was kept" in methods
    assert "resized to 32 x 32 pixels (bilinear)" in items["7 Data preparation"]
    assert "mirrored left to right, rotation up to 8 degrees" in items["7 Data preparation"]
    spec = ImageSpec(40, 30, "box", "grayscale", crop_to_head=True, pad_to_aspect_ratio=True)
    assert documentation(replace(metadata, image=spec), None)["tripod_ai"]["7 Data preparation"].startswith(
        "Decoded to grey, cropped to the head's contour, resized to 30 x 40 pixels (box) and padded with black where"
    )
    assert f"{metadata.temperature:g}" in items["15 Model output"]
    options = {**metadata.training["options"], "patience": None, "weights": "imagenet"}
    other = documentation(replace(metadata, training={**metadata.training, "options": options}), None)["tripod_ai"]
    assert "pretrained on ImageNet" in other["12 Analytical methods"]
    assert "the last epoch was kept" in other["12 Analytical methods"]


def test_data_and_groups_are_counted(folder: Path, evaluation: dict) -> None:
    metadata = run.read_metadata(folder)
    data, groups = metadata.documentation["data"], metadata.documentation["groups"]
    assert "Synthetic phantom images" in data
    assert "62 images to fit, 10 held out of Training to validate, 48 to test" in data
    assert metadata.training["fingerprint"] in data
    assert "31 groups to fit and 5 to validate; no group is in both. 22 groups to test." in groups
    assert "5 test images belong together with a training image or are copies of another test image" in groups
    assert "43 remain without them" in groups


def test_the_first_limit_is_the_phantom_and_the_tumours_missed_are_counted(folder: Path, evaluation: dict) -> None:
    limits = run.read_metadata(folder).documentation["limits"]
    assert "phantom" in limits[0]
    test = evaluation["test"]
    assert f"It took {test['tumours_missed']} of {test['tumours']} tumours in the test images for none." in limits
    assert not [limit for limit in limits if "Copies of training images" in limit]


def well_formed(markdown: str) -> bool:
    return all(len(row) == len(table[0]) and all(row) for table in tables(markdown) for row in table[1:])


def test_tables_are_well_formed_and_drawings_exist(markdown: str, folder: Path) -> None:
    assert len(tables(markdown)) == 4
    assert well_formed(markdown)
    drawings = re.findall(r"!\[(.*?)\]\((.*?)\)", markdown)
    assert [name for name, _ in drawings] == ["confusion", "reliability", "roc", "mistakes"]
    assert all((folder / path).exists() for _, path in drawings)
    assert not re.search(r"\{\{|\{%|\bnan\b|None to|\(None|None \|", markdown)
    assert "\n\n\n" not in markdown


def test_the_metadata_gain_the_statements_and_nothing_else(folder: Path, evaluated_run: Path) -> None:
    metadata, before = run.read_metadata(folder), run.read_metadata(evaluated_run)
    assert before.documentation == {}
    assert replace(metadata, documentation={}) == before
    assert set(metadata.documentation) == {"intended_use", "out_of_scope", "data", "groups", "limits", "tripod_ai"}


def test_two_classes_without_an_audit_and_with_a_bar_in_a_name(squares_run: Path, tmp_path: Path) -> None:
    markdown, metadata = carded(squares_run, tmp_path / "run")
    assert well_formed(markdown)
    assert r"sensitivity, dark\|black" in markdown
    assert "# Model card: small on some images" in markdown
    assert PHANTOM_NOTICE not in markdown
    assert "mistakes.png" not in markdown
    assert tables(markdown)[0][0] == ["metric", "Testing, raw", "Validation"]
    assert "Nobody looked for copies" in metadata.documentation["groups"]
    assert "Copies of training images may be among the test images" in markdown
    limits = metadata.documentation["limits"]
    assert not [limit for limit in limits if "tumours in the test images" in limit]
    assert any("Tumours missed were not counted" in limit and "name it with --healthy" in limit for limit in limits)
    assert "The folder some images" in metadata.documentation["data"]


def test_what_the_audit_found_is_among_the_limits(evaluated_run: Path, folder: Path, tmp_path: Path) -> None:
    border = {"sees": "border", "balanced_accuracy": 0.41, "interval": [0.38, 0.44], "chance": 0.25}
    audit = {
        "fingerprint": run.read_metadata(folder).training["fingerprint"],
        "contradictory": [["a", "b"], ["c", "d"]],
        "shortcuts": [border, border | {"sees": "brightness", "balanced_accuracy": 0.3}],
    }
    text, metadata = carded(evaluated_run, tmp_path / "run", audit)
    without = run.read_metadata(folder).documentation["limits"]
    more = [limit for limit in metadata.documentation["limits"] if limit not in without]
    assert len(more) == 2
    assert (
        "sees border and nothing else reaches a balanced accuracy of 41.0 % (38.0 % to 44.0 %; chance: 25.0 %)" in text
    )
    assert "2 clusters of copies lie in folders of several classes" in text


@pytest.mark.parametrize(
    ("audit", "message"),
    [
        (b'{"clusters": [', r"is not what python -m training\.audit writes"),
        (b"\xff\xfe\x00", r"is not what python -m training\.audit writes"),
        (b"[]", r"is not what python -m training\.audit writes"),
        (None, r"cannot read .*audit\.json: No such file"),
        (b'{"fingerprint": "another"}', r"is not what python -m training\.audit writes"),
        (b'{"fingerprint": "another", "contradictory": [], "shortcuts": []}', "is the audit of other images"),
    ],
)
def test_an_audit_that_cannot_be_used_is_explained(
    audit: bytes | None, message: str, evaluated_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(copytree(evaluated_run, tmp_path / "run"))
    if audit is not None:
        (tmp_path / "audit.json").write_bytes(audit)
    assert_refused("card", main, [str(copy), "--audit", str(tmp_path / "audit.json")], message, capsys)
    assert not (copy / model_card.CARD).exists()
    assert run.read_metadata(copy).documentation == {}


def test_an_audit_that_the_evaluation_did_not_use_is_refused(
    trained_run: Path, phantom_data: DataSet, tmp_path: Path
) -> None:
    copy = Path(copytree(trained_run, tmp_path / "run"))
    evaluate(copy, phantom_data, by_patient(phantom_data))
    audit = {"fingerprint": run.read_metadata(copy).training["fingerprint"], "contradictory": [], "shortcuts": []}
    (tmp_path / "audit.json").write_text(json.dumps(audit))
    with pytest.raises(CheckpointError, match="tested without the audit's --groups"):
        model_card.write(copy, tmp_path / "audit.json")


VERDICT = {
    "judged_against": "float32",
    "images": 640,
    "groups": 320,
    "calibrated_on": 160,
    "int8_layers": 7,
    "float_layers": ["first", "last"],
    "figures": {
        "accuracy_lost": {"float32": 0.95, "int8": 0.9475, "harm": 0.0025, "interval": [-0.001, 0.006], "bound": 0.02},
        "classes_changed": {"float32": None, "int8": None, "harm": 0.01, "interval": [0.004, 0.016], "bound": 0.05},
    },
}


def version_of(folder: Path, metadata: ModelMetadata) -> Path:
    """A version's folder with the metadata of an int8 form."""
    path = folder / INT8_METADATA
    path.parent.mkdir(parents=True)
    path.write_text(metadata.to_json())
    return folder


def test_the_int8_form_is_in_the_card_with_its_verdict(evaluated_run: Path, markdown: str, tmp_path: Path) -> None:
    copy = Path(copytree(evaluated_run, tmp_path / "run"))
    metadata = run.read_metadata(copy)
    assert "int8 form of this network, in" not in markdown
    int8 = replace(metadata, precision="int8", temperature=0.77, metrics={**metadata.metrics, "int8": VERDICT})
    model_card.write(copy, None, version_of(tmp_path / "version", int8))
    card = (copy / model_card.CARD).read_text()
    assert "7 of 9 layers" in " ".join(card.split())
    assert "160 images calibrated it. It was judged against float32 on 640 other images of 320 groups" in " ".join(
        card.split()
    )
    assert "its own temperature 0.77" in card
    assert "| accuracy lost | 0.9500 | 0.9475 | 0.0025 (-0.0010 to 0.0060) | 0.0200 |" in card.replace("\\", "")
    assert "| classes changed |  |  | 0.0100 (0.0040 to 0.0160) | 0.0500 |" in card.replace("\\", "")
    assert run.read_metadata(copy).precision == "float32"


def test_an_int8_form_that_is_not_there_or_of_another_run_is_refused(
    evaluated_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(copytree(evaluated_run, tmp_path / "run"))
    other = replace(run.read_metadata(copy), training={"data": "other"}, metrics={"int8": VERDICT})
    for version, message in (
        (tmp_path, "convert the run's model with --int8"),
        (version_of(tmp_path / "other", other), "is a version of another run's model"),
    ):
        assert_refused("card", main, [str(copy), "--version", str(version)], message, capsys)


@pytest.mark.parametrize("name", ["trained", "none"])
def test_a_run_that_was_not_evaluated_is_refused(
    name: str, trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copytree(trained_run, tmp_path / "trained")
    message = {"trained": "was not tested yet", "none": "holds no finished run"}[name]
    assert_refused("card", main, [str(tmp_path / name)], message, capsys)
    assert not (tmp_path / name / model_card.CARD).exists()


def test_the_command_logs_the_file(
    evaluated_run: Path, markdown: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = Path(copytree(evaluated_run, tmp_path / "run"))
    with caplog.at_level(logging.INFO):
        assert main([str(copy)]) == 0
    assert f"written: {copy / model_card.CARD}" in caplog.messages
    assert (copy / model_card.CARD).read_text() == markdown
