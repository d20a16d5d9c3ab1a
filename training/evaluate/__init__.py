"""A finished run against the test images: as they are published, and without those that training has seen."""

import csv
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from brain_tumor.atomic import atomic_file
from brain_tumor.image import Preprocessor
from brain_tumor.metadata import ModelMetadata
from training.atomic import write_json
from training.data import DataError, DataSet, read
from training.data.groups import Groups
from training.evaluate import drawings
from training.evaluate.activation import activation_maps
from training.evaluate.ood import strangers_flagged
from training.evaluate.operating_points import operating_points
from training.metrics import Metrics, Predictions, rounded, summary
from training.report import Report, share
from training.train import calibrate, run
from training.train.checkpoint import CheckpointError
from training.train.input_pipeline import PREDICTION_BATCH

log = logging.getLogger(__name__)

EVALUATION, PREDICTIONS = "evaluation.json", "predictions.csv"
_WORST = 8  # mistakes that are shown


@dataclass(frozen=True)
class _Tested:
    """The test images and what the model said of them: logits float32 (n, class), unseen bool (n,)."""

    files: Sequence[str]
    pixels: NDArray[np.uint8]
    logits: NDArray[np.float32]
    answers: Predictions
    unseen: NDArray[np.bool_]


def evaluate(folder: Path, data: DataSet, groups: Groups) -> ModelMetadata:
    """Test the run in ``folder``; writes ``folder/evaluation`` and puts the figures into the run's card.

    Raises:
        CheckpointError: no finished run, or one of other data or classes.
        DataError: a test image cannot be read, or training has seen all of them.
    """
    card = run.read_metadata(folder)
    if (card.class_names, card.training.get("fingerprint")) != (data.class_names, data.fingerprint()):
        raise CheckpointError(f"{folder} was trained on other images than {data.folder}: give it those")
    fresh = unseen(data, groups)
    if not fresh.any():
        raise DataError(f"every test image of {data.folder} belongs together with a training image")
    model, kept = run.load_model(folder), run.read_validation(folder)
    files = data.testing
    pixels = read(data.folder, list(files), Preprocessor(card.height, card.width, card.resampling))
    logits = model.predict(pixels, PREDICTION_BATCH, verbose=0)
    answers = _answers(card, logits, data.labels(files), groups.of(files))
    tested = _Tested(files, pixels, logits, answers, fresh)
    validation = _answers(card, kept.logits, kept.labels, groups.of(kept.files))
    log.info("%d test images; intervals by bootstrap ...", len(files))
    threshold = card.out_of_distribution_threshold or 0.0  # training gives one
    metrics: dict[str, Any] = {
        "validation": summary(validation),
        "test": summary(answers),
        "deduplicated_test": summary(answers.only(tested.unseen)) if groups.audited else None,
        "groups": groups.digest(),
        "scans_flagged": float((calibrate.energy(logits) > threshold).mean()),
        "strangers_flagged": strangers_flagged(model, card.width, threshold),
    }
    metrics = rounded(metrics)
    metrics["operating_points"] = [
        rounded(point) | {"threshold": point["threshold"]} for point in operating_points(validation, answers)
    ]
    out, worst = folder / "evaluation", _worst(answers)
    maps = activation_maps(model, pixels[worst]) if len(worst) else None
    _report(card, data.name, metrics, tested, maps, out)
    _write_predictions(tested, out / PREDICTIONS)
    write_json(out / EVALUATION, metrics)
    card = replace(card, metrics=metrics, documentation={})  # it told older figures
    run.write_metadata(card, folder)
    return card


def unseen(data: DataSet, groups: Groups) -> NDArray[np.bool_]:
    """Which test images no training image belongs together with, one of each set of copies: bool (n,)."""
    trained = {groups.groups[file] for file in data.training}
    shown: set[int] = set()
    mask = []
    for file in data.testing:
        new = groups.groups[file] not in trained and groups.copies[file] not in shown
        shown.add(groups.copies[file])
        mask.append(new)
    return np.array(mask, bool)


def _answers(
    card: ModelMetadata, logits: NDArray[np.float32], labels: NDArray[np.int64], groups: NDArray[np.int64]
) -> Predictions:
    return Predictions(card.class_names, softmax(logits.astype(np.float64) / card.temperature, axis=1), labels, groups)


def _worst(answers: Predictions) -> NDArray[np.int64]:
    """The wrong answers that were surest, the surest first."""
    sureness = answers.probabilities.max(1)
    wrong = np.flatnonzero(answers.probabilities.argmax(1) != answers.labels)
    return wrong[np.argsort(-sureness[wrong], kind="stable")][:_WORST]


def _report(
    card: ModelMetadata, name: str, metrics: Metrics, tested: _Tested, maps: NDArray[np.float32] | None, out: Path
) -> None:
    answers = tested.answers
    report = Report("Evaluation", out, name)
    sets = {"as published": metrics["test"]}
    if metrics["deduplicated_test"] is not None:
        sets["without copies"] = metrics["deduplicated_test"]
    report.heading("Test images, raw and de-duplicated")
    report.text(
        "Raw are all test images as published. De-duplicated leaves out those that belong together with a training "
        "image, and all but one of each set of copies; the honest figure is that one. Intervals hold 95 % and come "
        "from a bootstrap that draws whole groups; one that shrinks to a point only says that no mistake was seen."
        if metrics["deduplicated_test"] is not None
        else "No audit was made of this data set, so copies of training images may be among these."
    )
    report.table(["figure", *sets], figure_rows(sets), "value (95 % interval)")
    report.figure(
        drawings.confusion(
            {title: np.array(each["confusion_matrix"]) for title, each in sets.items()}, card.class_names
        ),
        "confusion",
        "Confusion matrices: counts, shaded by the share of the true class.",
    )
    report.figure(
        drawings.receiver_operating_characteristics(answers), "roc", "Each class against the rest, all test images."
    )
    report.heading("Calibration")
    report.figure(
        drawings.reliability(answers, softmax(tested.logits.astype(np.float64), axis=1)),
        "reliability",
        f"Confidence and accuracy, all test images; the temperature, {card.temperature:g}, was fitted on validation.",
    )
    report.heading("Operating points")
    report.table(
        ["finds", "sensitivity wanted", "threshold", "sensitivity", "specificity"],
        operating_point_rows(metrics["operating_points"]),
        "Thresholds chosen on validation, measured on all test images.",
    )
    report.heading("Images that are no scans")
    report.table(
        ["images", "flagged as out of distribution"],
        [
            *([family, share(rate)] for family, rate in metrics["strangers_flagged"].items()),
            ["test scans", share(metrics["scans_flagged"])],
        ],
        "The threshold lets 99 % of validation scans pass. None of these kinds of images was shown in training.",
    )
    report.heading("The worst mistakes")
    worst = _worst(answers)
    if len(worst):
        report.figure(
            drawings.mistakes(
                tested.pixels[worst], maps, answers.only(worst), [tested.files[place] for place in worst]
            ),
            "mistakes",
            "The surest wrong answers; below, where the evidence for the answer was found (bright is much).",
        )
    else:
        report.text("There are none: every test image was answered rightly.")
    report.write()


def figure_rows(sets: dict[str, Metrics]) -> list[list[str]]:
    """Rows of a table: a figure's name, then its value and interval in each of ``sets``."""
    first = next(iter(sets.values()))
    rows = [[name, *(str(each[name]) for each in sets.values())] for name in ("images", "groups")]
    for name, value in first.items():
        if name in ("intervals", "confusion_matrix", "images", "groups", "tumours", "tumours_missed"):
            continue
        for inner in value if isinstance(value, dict) else [None]:
            title = name.replace("_", " ") if inner is None else f"{name}, {inner}"
            rows.append(
                [title.replace("auroc", "AUROC"), *(_with_interval(each, name, inner) for each in sets.values())]
            )
    if "tumours" in first:
        missed = [f"{each['tumours_missed']} of {each['tumours']}" for each in sets.values()]
        rows.append(["tumours missed", *missed])
    return rows


def operating_point_rows(points: Sequence[Metrics]) -> list[list[str]]:
    """Rows of a table: what is found, the sensitivity wanted, the threshold, and sensitivity and specificity there."""
    return [
        [point["finds"], share(point["wanted_sensitivity"], 0), f"{point['threshold']:.6f}"]
        + ["not defined" if point[name] is None else share(point[name]) for name in ("sensitivity", "specificity")]
        for point in points
    ]


def _with_interval(figures: Metrics, name: str, inner: str | None) -> str:
    value, interval = figures[name], figures["intervals"][name]
    if inner is not None:
        value, interval = value[inner], interval[inner]
    if value is None:
        return "not defined"
    return f"{value:.4f} ({interval[0]:.4f} to {interval[1]:.4f})" if interval else f"{value:.4f}"


def _write_predictions(tested: _Tested, path: Path) -> None:
    answers = tested.answers
    strangeness = calibrate.energy(tested.logits)
    with atomic_file(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(
            ["file", "group", "deduplicated", "truth", "answer", *answers.class_names, "out_of_distribution"]
        )
        for place, file in enumerate(tested.files):
            probabilities = answers.probabilities[place]
            names = [answers.class_names[index] for index in (answers.labels[place], probabilities.argmax())]
            table.writerow(
                [file, answers.groups[place], int(tested.unseen[place]), *names]
                + [f"{value:.6f}" for value in (*probabilities, strangeness[place])]
            )
