"""The figures of an evaluation's report."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from brain_tumor.quality.metrics import Predictions
from training.report import COLOURS, new_figure, share

_BINS = 10


def confusion(matrices: dict[str, NDArray[np.int64]], class_names: Sequence[str]) -> Figure:
    """Confusion matrices side by side: counts, shaded by the share of the true class.

    Args:
        matrices: The matrices by title; rows are labels, columns are predictions: int64 (class, class).
        class_names: The class names.
    """
    figure = new_figure(1 + 4.2 * len(matrices), 4)
    for axes, (title, cells) in zip(figure.subplots(1, len(matrices), squeeze=False)[0], matrices.items(), strict=True):
        shares = cells / np.maximum(cells.sum(1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(cells):
            dark = shares[row, column] > 0.5
            axes.text(column, row, count, ha="center", va="center", color="white" if dark else "black")
        axes.set_xticks(range(len(class_names)), class_names, rotation=30, ha="right")
        axes.set_yticks(range(len(class_names)), class_names)
        axes.set(title=title, xlabel="prediction", ylabel="label")
    return figure


def reliability(predictions: Predictions, uncalibrated: NDArray[np.float64]) -> Figure:
    """Accuracy against confidence, before and after calibration, and how often each confidence occurs.

    Args:
        predictions: The calibrated predictions.
        uncalibrated: The probabilities at temperature 1: float64 (n, class).
    """
    figure = new_figure(6, 5)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    edges = np.linspace(0, 1, _BINS + 1)
    for name, probabilities, colour in (
        ("uncalibrated", uncalibrated, COLOURS[1]),
        ("calibrated", predictions.probabilities, COLOURS[0]),
    ):
        confidence, right = probabilities.max(1), probabilities.argmax(1) == predictions.labels
        bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
        count = np.bincount(bins, minlength=_BINS)
        filled = count > 0
        mean = np.bincount(bins, confidence, _BINS)[filled] / count[filled]
        rate = np.bincount(bins, right, _BINS)[filled] / count[filled]
        upper.plot(mean, rate, marker="o", color=colour, label=name)
        lower.hist(confidence, edges, histtype="step", color=colour)
    upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
    lower.set(xlabel="confidence (largest probability)", ylabel="images")
    upper.grid(alpha=0.3)
    upper.legend()
    return figure


def receiver_operating_characteristics(predictions: Predictions) -> Figure:
    """The curve of each class against the rest."""
    figure = new_figure(5.5, 4.5)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    for label, name in enumerate(predictions.class_names):
        order = np.argsort(-predictions.probabilities[:, label], kind="stable")
        positive = predictions.labels[order] == label
        true_rate = np.cumsum(positive) / max(positive.sum(), 1)
        false_rate = np.cumsum(~positive) / max((~positive).sum(), 1)
        axes.plot([0, *false_rate], [0, *true_rate], color=COLOURS[label % len(COLOURS)], label=name)
    axes.set(xlabel="1 - specificity", ylabel="sensitivity")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def mistakes(
    pixels: NDArray[np.uint8],
    maps: NDArray[np.float32] | None,
    predictions: Predictions,
    files: Sequence[str],
) -> Figure:
    """Images with a wrong prediction; below them the activation map of the predicted class, where there is one.

    Args:
        pixels: uint8 (n, side, side, 3).
        maps: float32 (n, map height, map width, class).
        predictions: The predictions for these images.
        files: The images' paths.
    """
    rows = 1 if maps is None else 2
    figure = new_figure(2.1 * max(len(files), 2), 0.7 + 2.1 * rows)
    panels = figure.subplots(rows, max(len(files), 2), squeeze=False)
    for axes in panels.ravel():
        axes.axis("off")
    for index, file in enumerate(files):
        predicted = int(predictions.probabilities[index].argmax())
        title = (
            f"{predictions.class_names[predictions.labels[index]]}\n"
            f"taken for {predictions.class_names[predicted]} "
            f"({share(predictions.probabilities[index, predicted], 0)})"
        )
        panels[0, index].imshow(pixels[index])
        panels[0, index].set_title(title, fontsize=8)
        panels[0, index].text(0, pixels.shape[1], file.rpartition("/")[2], fontsize=6, va="top")
        if maps is not None:
            evidence = _stretched(maps[index, :, :, predicted], pixels.shape[1])
            panels[1, index].imshow(pixels[index])
            panels[1, index].imshow(evidence, cmap="inferno", alpha=0.55)
    return figure


def _stretched(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """A map at the image's size, without its negative evidence."""
    positive = np.maximum(values, 0)
    return np.asarray(Image.fromarray(positive).resize((side, side), Image.Resampling.BICUBIC))
