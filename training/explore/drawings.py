"""The figures of an exploration's report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.explore.measure import Average, Measured
from training.layout import SPLITS, TRAINING
from training.report import COLOURS, new_figure

SPLIT_COLOURS = dict(zip(SPLITS, COLOURS, strict=False))
_ACROSS = 4  # panels in a row
_MAX_BINS = 40


def bars(values: dict[str, dict[str, float]], label: str, percent: bool = False) -> Figure:
    """A bar for each class and split, with its value written on it.

    Args:
        values: The values, by split and class.
        label: The label of the value axis.
        percent: Whether the values are shares from 0 to 1, to be shown in percent.
    """
    names = list(values[TRAINING])
    figure = new_figure(max(6, 1 + 1.4 * len(names)), 3.6)
    axes = figure.subplots()
    for shift, split in zip((-0.2, 0.2), SPLITS, strict=True):
        heights = [values[split][name] * (100 if percent else 1) for name in names]
        container = axes.bar(np.arange(len(names)) + shift, heights, 0.38, color=SPLIT_COLOURS[split], label=split)
        axes.bar_label(container, fmt="%.1f" if percent else "%d", fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=30 if len(names) > 4 else 0)
    axes.set_ylabel(label)
    axes.margins(y=0.12)
    if percent:
        axes.set_ylim(0, 108)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def samples(pixels: dict[str, NDArray[np.uint8]], samples: dict[str, dict[str, list[str]]]) -> Figure:
    """A row of images for each class, with those of Training at the left and those of Testing at the right.

    Args:
        pixels: The images by file: uint8 (side, side, 3).
        samples: The files by split and class.
    """
    names = list(samples[TRAINING])
    columns = [(split, n) for split in SPLITS for n in range(max(len(files) for files in samples[split].values()))]
    figure = new_figure(1.2 * max(len(columns), 4), 0.4 + 1.2 * len(names))
    panels = figure.subplots(len(names), len(columns), squeeze=False)
    for (row, column), axes in np.ndenumerate(panels):
        split, index = columns[column]
        files = samples[split][names[row]]
        _bare(axes)
        if index < len(files):
            axes.imshow(pixels[files[index]])
        else:
            axes.axis("off")
        if column == 0:
            axes.set_ylabel(names[row], fontsize=9)
        if row == 0 and index == 0:
            axes.set_title(split, fontsize=10, color=SPLIT_COLOURS[split], loc="left", fontweight="bold")
    return figure


def sizes(images: Sequence[Measured], names: Sequence[str]) -> Figure:
    """Width against height in a panel for each class.

    The area of a dot grows with the share of the class's images that have this size.
    """
    figure, panels = _grid(len(names), 2.6, sharey=True)
    limit = 1.1 * max(max(image.width, image.height) for image in images)
    for axes, name in zip(panels, names, strict=True):
        axes.plot([0, limit], [0, limit], color="grey", linestyle=":", linewidth=1, zorder=0)
        for split in SPLITS:
            shapes = [
                (image.width, image.height) for image in images if (image.split, image.class_name) == (split, name)
            ]
            points, counts = np.unique(np.array(shapes), axis=0, return_counts=True)
            colour = SPLIT_COLOURS[split]
            fill = colour if split == TRAINING else "none"
            areas = 8 + 250 * counts / len(shapes)
            axes.scatter(points[:, 0], points[:, 1], areas, facecolors=fill, edgecolors=colour, alpha=0.6)
            axes.scatter([], [], 40, facecolors=fill, edgecolors=colour, alpha=0.6, label=split)  # for the legend
        axes.set(title=name, xlim=(0, limit), ylim=(0, limit), box_aspect=1)
    return _labelled(figure, panels, "width (pixels)", "height (pixels)")


def distributions(values: dict[str, dict[str, NDArray[np.float64]]], label: str, reach: float = 1) -> Figure:
    """Histograms in a panel for each class: Training filled, Testing as a line.

    Args:
        values: The numbers by split and class.
        label: The label of the number's axis.
        reach: The axis ends at this quantile of all numbers; larger ones are counted in the last bin.
    """
    names = list(values[TRAINING])
    everything = np.concatenate([numbers for split in SPLITS for numbers in values[split].values()])
    low, high = everything.min(), np.quantile(everything, reach)
    if high - low < 1e-6 * max(1, abs(high)):  # all numbers are equal
        low, high = low - 0.5, high + 0.5
    fewest = min(len(numbers) for split in SPLITS for numbers in values[split].values())
    edges = np.linspace(low, high, min(_MAX_BINS, 10 + int(fewest**0.5)) + 1)
    figure, panels = _grid(len(names), 2.2, sharey=True)
    for axes, name in zip(panels, names, strict=True):
        for split in SPLITS:
            numbers = values[split][name].clip(low, high)
            shares = 100 * np.histogram(numbers, edges)[0] / len(numbers)
            filled = split == TRAINING
            fade = 0.45 if filled else 1
            axes.stairs(shares, edges, fill=filled, color=SPLIT_COLOURS[split], alpha=fade, label=split)
        axes.set_title(name)
        axes.grid(alpha=0.3)
    return _labelled(figure, panels, label, "images (%)")


def averages(averages: dict[tuple[str, str], Average], names: Sequence[str]) -> Figure:
    """A row for each class.

    It shows the average of Training, the average of Testing, and the average of Training minus that of all classes.
    """
    everything = Average.of(averages[TRAINING, name] for name in names).mean
    differences = {name: averages[TRAINING, name].mean - everything for name in names}
    limit = max(1.0, float(np.quantile(np.abs(list(differences.values())), 0.995)))
    brightest = max(average.mean.max() for average in averages.values())
    figure = new_figure(7, 0.6 + 2.0 * len(names))
    panels = figure.subplots(len(names), 3, squeeze=False)
    difference_image: Any = None
    for row, name in zip(panels, names, strict=True):
        for axes, split in zip(row, SPLITS, strict=False):
            axes.imshow(averages[split, name].mean, cmap="gray", vmin=0, vmax=brightest)
            axes.set_title(f"{split} ({averages[split, name].count})", fontsize=9)
        difference_image = row[2].imshow(differences[name], cmap="RdBu_r", vmin=-limit, vmax=limit)
        row[2].set_title("Training minus all", fontsize=9)
        row[0].set_ylabel(name)
    for axes in panels.ravel():
        _bare(axes)
    figure.colorbar(
        difference_image, ax=panels[:, 2], shrink=min(1, 2 / len(names)), extend="both", label="grey levels"
    )
    return figure


def _grid(count: int, height: float, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    """Panels for ``count`` classes, each ``height`` inches high."""
    across = min(count, _ACROSS)
    down = -(-count // across)
    figure = new_figure(0.5 + 2.4 * across, 0.6 + height * down)
    panels = figure.subplots(down, across, sharex=True, sharey=sharey, squeeze=False).ravel().tolist()
    for axes in panels[count:]:
        axes.remove()
    for axes in panels[max(0, count - across) : count]:  # the lowest of each column
        axes.tick_params(labelbottom=True)
    return figure, panels[:count]


def _labelled(figure: Figure, panels: list[Axes], across: str, up: str) -> Figure:
    figure.supxlabel(across, fontsize=10)
    figure.supylabel(up, fontsize=10)
    panels[0].legend(fontsize=8)
    return figure


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
