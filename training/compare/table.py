"""The table of a comparison, its Pareto front of accuracy against time, and the selection of a network."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from training.report import COLOURS, Report, new_figure, share_with_interval


@dataclass(frozen=True)
class Row:
    """One network.

    Attributes:
        model: The network's name.
        learning_rate: The learning rate of the main phase.
        accuracies: The accuracy on validation, one for each seed.
        low: Lower end of the 95 % interval of their mean. The bootstrap draws images, not seeds.
        high: Upper end of that interval.
        parameters: Number of parameters.
        multiplications: Multiply-accumulates for one image, in 10^9.
        megabytes: Size of the SavedModel, in 10^6 bytes.
        milliseconds: Time of one image on the model server.
        side: Side of the images, in pixels.
    """

    model: str
    learning_rate: float
    accuracies: list[float]
    low: float
    high: float
    parameters: int
    multiplications: float
    megabytes: float
    milliseconds: float
    side: int

    @property
    def accuracy(self) -> float:
        """The mean over the seeds."""
        return statistics.mean(self.accuracies)


def select_model(rows: Sequence[Row]) -> Row:
    """The fastest network whose mean accuracy lies within the interval of the most accurate one."""
    best = max(rows, key=lambda row: row.accuracy)
    least = min(best.low, best.accuracy)  # rounding may put the interval slightly above the mean
    return min((row for row in rows if row.accuracy >= least), key=lambda row: row.milliseconds)


def pareto_front(rows: Sequence[Row]) -> list[Row]:
    """The networks that no other network beats both in accuracy and in time, the fastest first."""
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (row.milliseconds, -row.accuracy)):
        if not front or row.accuracy > front[-1].accuracy:
            front.append(row)
    return front


def draw(rows: Sequence[Row]) -> Figure:
    """Draw validation accuracy against milliseconds: intervals, a dot for each seed, the Pareto front as a line."""
    figure = new_figure(8, 4.5)
    axes = figure.subplots()
    front = pareto_front(rows)
    axes.plot(
        [row.milliseconds for row in front], [row.accuracy for row in front], color="grey", linestyle="--", zorder=0
    )
    for index, row in enumerate(rows):
        colour = COLOURS[index % len(COLOURS)]
        error = [[max(row.accuracy - row.low, 0)], [max(row.high - row.accuracy, 0)]]
        axes.errorbar(row.milliseconds, row.accuracy, error, fmt="o", color=colour, capsize=4, label=row.model)
        axes.scatter([row.milliseconds] * len(row.accuracies), row.accuracies, s=10, color=colour, alpha=0.6)
    axes.set_xscale("log")
    for set_formatter in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        set_formatter(LogFormatter())  # 1.2, not 1.2 x 10^0
    axes.set(xlabel="milliseconds an image on the model server (logarithmic)", ylabel="validation accuracy")
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def report(document: dict[str, Any], rows: Sequence[Row], data: str, out: Path) -> None:
    """Write ``report.html`` with the table and ``pareto-front.png``."""
    selected = document["selected"]["model"]
    page = Report("Comparison", out, data)
    page.text(
        f"Mean accuracy over {len(document['seeds'])} seeds on the same {document['images']} validation images; "
        "the test images were not used. Intervals hold 95 % and come from a bootstrap over whole groups."
    )
    if document["trials"]:
        page.text(f"Each network has the learning rate that did best in {document['trials']} short trials.")
    page.table(
        [
            *("network", "learning rate", "accuracy (95 % interval)", "each seed", "side", "parameters", "GMAC"),
            *("SavedModel", "model server"),
        ],
        [_cells(row, row.model == selected) for row in rows],
        f"Proposed (*): {selected}, the fastest network whose mean accuracy lies within the interval of the best one.",
    )
    page.figure(
        draw(rows),
        "pareto-front",
        "Accuracy against time. The dashed line is the Pareto front: no other network beats these in both.",
    )
    page.write()


def _cells(row: Row, selected: bool) -> list[str]:
    return [
        f"{row.model} *" if selected else row.model,
        f"{row.learning_rate:.2g}",
        share_with_interval(row.accuracy, (row.low, row.high)),
        ", ".join(f"{100 * accuracy:.1f}" for accuracy in row.accuracies),
        f"{row.side}",
        f"{row.parameters / 1e6:.2f} M",
        f"{row.multiplications:.3f}",
        f"{row.megabytes:.1f} MB",
        f"{row.milliseconds:.1f} ms",
    ]
