"""The images of an evaluation."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from training.metrics import Predictions
from training.report import COLOURS, new_figure, share

_BINS = 10


def confusion(matrices: dict[str, NDArray[np.int64]], class_names: Sequence[str]) -> Figure:
    """Confusion matrices side by side: counts, shaded by the share of the true class."""
    figure = new_figure(1 + 4.2 * len(matrices), 4)
    for axes, (title, cells) in zip(figure.subplots(1, len(matrices), squeeze=False)[0], matrices.items(), strict=True):
        shares = cells / np.maximum(cells.sum(1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(cells):
            dark = shares[row, column] > 0.5
            axes.text(column, row, count, ha="center", va="center", color="white" if dark else "black")
        axes.set_xticks(range(len(class_names)), class_names, rotation=30, ha="right")
        axes.set_yticks(range(len(class_names)), class_names)
        axes.set(title=title, xlabel="answered", ylabel="truth")
    return figure


def reliability(answers: Predictions, uncalibrated: NDArray[np.float64]) -> Figure:
    """Confidence against accuracy, before and after calibration, and how often each confidence is given.

    Args:
        uncalibrated: the probabilities at temperature 1, (n, class).
    """
    figure = new_figure(6, 5)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    edges = np.linspace(0, 1, _BINS + 1)
    for name, probabilities, colour in (
        ("uncalibrated", uncalibrated, COLOURS[1]),
        ("calibrated", answers.probabilities, COLOURS[0]),
    ):
        confidence, right = probabilities.max(1), probabilities.argmax(1) == answers.labels
        bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
        count = np.bincount(bins, minlength=_BINS)
        some = count > 0
        mean = np.bincount(bins, confidence, _BINS)[some] / count[some]
        rate = np.bincount(bins, right, _BINS)[some] / count[some]
        upper.plot(mean, rate, marker="o", color=colour, label=name)
        lower.hist(confidence, edges, histtype="step", color=colour)
    upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
    lower.set(xlabel="confidence (largest probability)", ylabel="images")
    upper.grid(alpha=0.3)
    upper.legend()
    return figure


def receiver_operating_characteristics(answers: Predictions) -> Figure:
    """One-vs-rest curves of every class."""
    figure = new_figure(5.5, 4.5)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    for index, name in enumerate(answers.class_names):
        order = np.argsort(-answers.probabilities[:, index], kind="stable")
        positive = answers.labels[order] == index
        found = np.cumsum(positive) / max(positive.sum(), 1)
        false = np.cumsum(~positive) / max((~positive).sum(), 1)
        axes.plot([0, *false], [0, *found], color=COLOURS[index % len(COLOURS)], label=name)
    axes.set(xlabel="1 - specificity", ylabel="sensitivity")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def mistakes(
    pixels: NDArray[np.uint8],
    maps: NDArray[np.float32] | None,
    answers: Predictions,
    files: Sequence[str],
) -> Figure:
    """Wrongly answered images: above as they are, below with the activation map of the answer where there is one.

    Args:
        pixels: uint8 (n, side, side, 3). maps: (n, map height, map width, class).
    """
    rows = 1 if maps is None else 2
    figure = new_figure(2.1 * max(len(files), 2), 0.7 + 2.1 * rows)
    panels = figure.subplots(rows, max(len(files), 2), squeeze=False)
    for axes in panels.ravel():
        axes.axis("off")
    for place, file in enumerate(files):
        answer = int(answers.probabilities[place].argmax())
        title = (
            f"{answers.class_names[answers.labels[place]]}\ntaken for {answers.class_names[answer]} "
            f"({share(answers.probabilities[place, answer], 0)})"
        )
        panels[0, place].imshow(pixels[place])
        panels[0, place].set_title(title, fontsize=8)
        panels[0, place].text(0, pixels.shape[1], file.rpartition("/")[2], fontsize=6, va="top")
        if maps is not None:
            panels[1, place].imshow(pixels[place])
            panels[1, place].imshow(_stretched(maps[place, :, :, answer], pixels.shape[1]), cmap="inferno", alpha=0.55)
    return figure


def _stretched(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """A map at the image's size, its negative evidence left out."""
    positive = np.maximum(values, 0)
    return np.asarray(Image.fromarray(positive).resize((side, side), Image.Resampling.BICUBIC))
