"""The report of an evaluation."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from brain_tumor.metadata import BGR, ModelMetadata
from brain_tumor.quality.healthy import HEALTHY_CLASS
from brain_tumor.quality.metrics import Metrics
from training.data.healthy import not_counted
from training.evaluate import drawings
from training.evaluate.evaluated_images import EvaluatedImages
from training.evaluate.tables import metric_rows, operating_point_rows
from training.report import Report, share


def write(
    metadata: ModelMetadata,
    name: str,
    metrics: Metrics,
    tested: EvaluatedImages,
    maps: NDArray[np.float32] | None,
    out: Path,
) -> Path:
    """Write the report and its figures; returns the path of the HTML page.

    Args:
        metadata: The run's metadata.
        name: The data set's name.
        metrics: The content of ``evaluation.json``.
        tested: The test images.
        maps: The activation maps of the worst mistakes, where the network has them: float32 (n, height, width, class).
        out: The report's folder.
    """
    report = Report("Evaluation", out, name)
    _metrics(report, metadata, metrics, tested)
    _calibration(report, metadata, tested)
    _operating_points(report, metrics)
    _ood_samples(report, metrics)
    _mistakes(report, metadata, tested, maps)
    return report.write()


def _metrics(report: Report, metadata: ModelMetadata, metrics: Metrics, tested: EvaluatedImages) -> None:
    whole = "as drawn" if metadata.training.get("drawn") else "as published"
    sets = {whole: metrics["test"]}
    if metrics["deduplicated_test"] is not None:
        sets["without copies"] = metrics["deduplicated_test"]
    report.heading("Test images, raw and de-duplicated")
    report.text(
        f"Raw means all test images {whole}. De-duplicated means without the images that belong together with a "
        "training image, and with only one image of each set of copies; these metrics are unbiased by images that the "
        "network saw in training. Intervals hold 95 % and come from a bootstrap that draws whole groups; an interval "
        "that shrinks to a point only means that there was no mistake."
        if metrics["deduplicated_test"] is not None
        else "No audit was made of this data set, so copies of training images may be among these."
    )
    report.table(["metric", *sets], metric_rows(sets), "Value (95 % interval).")
    if metadata.training[HEALTHY_CLASS] is None:
        report.text(not_counted(metadata.class_names))
    matrices = {title: np.array(values["confusion_matrix"]) for title, values in sets.items()}
    report.figure(
        drawings.confusion(matrices, metadata.class_names),
        "confusion",
        "Confusion matrices: counts, shaded by the share of the true class.",
    )
    report.figure(
        drawings.receiver_operating_characteristics(tested.predictions),
        "roc",
        "Receiver operating characteristics of each class against the rest, all test images.",
    )


def _calibration(report: Report, metadata: ModelMetadata, tested: EvaluatedImages) -> None:
    report.heading("Calibration")
    report.figure(
        drawings.reliability(tested.predictions, softmax(tested.logits.astype(np.float64), axis=1)),
        "reliability",
        f"Confidence and accuracy, all test images; the temperature {metadata.temperature:g} was fitted on validation.",
    )


def _operating_points(report: Report, metrics: Metrics) -> None:
    report.heading("Operating points")
    report.table(
        ["finds", "sensitivity wanted", "threshold", "sensitivity", "specificity"],
        operating_point_rows(metrics["operating_points"]),
        "Thresholds selected on validation, measured on all test images.",
    )


def _ood_samples(report: Report, metrics: Metrics) -> None:
    report.heading("Images that are no scans")
    report.table(
        ["images", "flagged as out of distribution"],
        [
            *([family, share(rate)] for family, rate in metrics["ood_samples_flagged"].items()),
            ["test scans", share(metrics["scans_flagged"])],
        ],
        "The threshold lets 99 % of the validation scans pass. None of these kinds of images was shown in training.",
    )


def _mistakes(
    report: Report, metadata: ModelMetadata, tested: EvaluatedImages, maps: NDArray[np.float32] | None
) -> None:
    report.heading("The worst mistakes")
    mistakes = tested.worst_mistakes()
    if not len(mistakes):
        report.text("There are none: every prediction for a test image is right.")
        return
    files, pixels = [tested.files[index] for index in mistakes], tested.pixels[mistakes]
    shown = pixels[..., ::-1] if metadata.image.color_mode == BGR else pixels
    report.figure(
        drawings.mistakes(shown, maps, tested.predictions.only(mistakes), files),
        "mistakes",
        "The wrong predictions with the highest confidence"
        + ("." if maps is None else "; below, where the evidence for the predicted class is (bright is much)."),
    )
