"""A run's history as a table and as an image."""

import csv
import itertools
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from matplotlib.figure import Figure

from brain_tumor.atomic import atomic_file
from training.report import COLOURS, new_figure
from training.train.checkpoint import Epoch

EPOCHS, CURVES = "epochs.csv", "curves.png"


def write(history: Sequence[Epoch], folder: Path) -> None:
    """Write ``epochs.csv`` and ``curves.png``."""
    with atomic_file(folder / EPOCHS) as scratch, scratch.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, [field.name for field in fields(Epoch)])
        table.writeheader()
        table.writerows(asdict(epoch) for epoch in history)
    with atomic_file(folder / CURVES) as scratch:
        draw(history).savefig(scratch, format="png")


def draw(history: Sequence[Epoch]) -> Figure:
    """Draw loss and accuracy over the epochs, with a line where a phase begins."""
    figure = new_figure(9, 3.5)
    numbers = [epoch.epoch for epoch in history]
    starts = [epoch.epoch for before, epoch in itertools.pairwise(history) if before.phase != epoch.phase]
    panels = {
        "loss (nat)": ([epoch.loss for epoch in history], [epoch.validation_loss for epoch in history]),
        "accuracy": ([epoch.accuracy for epoch in history], [epoch.validation_accuracy for epoch in history]),
    }
    for axes, (label, (fitted, validated)) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        axes.plot(numbers, fitted, color=COLOURS[0], marker="o", markersize=3, label="fitted (augmented)")
        axes.plot(numbers, validated, color=COLOURS[1], marker="o", markersize=3, label="validation")
        for start in starts:
            axes.axvline(start - 0.5, color="grey", linestyle=":", linewidth=1)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    return figure
