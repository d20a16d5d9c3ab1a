"""The figures of a data set."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.data import TRAINING
from training.data.layout import SPLITS
from training.explore.measure import Average, Measured
from training.report import COLOURS, new_figure

SPLIT_COLOURS = dict(zip(SPLITS, COLOURS, strict=False))
_ACROSS = 4  # panels in a row
_MAX_BINS = 40


def bars(values: dict[str, dict[str, float]], label: str, percent: bool = False) -> Figure:
    """Training and Testing side by side in each class: a number a bar, written on it.

    Args:
        values: by split and class; shares of 0 to 1 where ``percent``.
    """
    names = list(values[TRAINING])
    figure = new_figure(max(6, 1 + 1.4 * len(names)), 3.6)
    axes = figure.subplots()
    for shift, split in zip((-0.2, 0.2), SPLITS, strict=True):
        heights = [values[split][name] * (100 if percent else 1) for name in names]
        drawn = axes.bar(np.arange(len(names)) + shift, heights, 0.38, color=SPLIT_COLOURS[split], label=split)
        axes.bar_label(drawn, fmt="%.1f" if percent else "%d", fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=30 if len(names) > 4 else 0)
    axes.set_ylabel(label)
    axes.margins(y=0.12)
    if percent:
        axes.set_ylim(0, 108)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def samples(pixels: dict[str, NDArray[np.uint8]], chosen: dict[str, dict[str, list[str]]]) -> Figure:
    """A row of images a class: those of Training at the left, those of Testing at the right.

    Args:
        pixels: (side, side, 3) by file. chosen: files by split and class.
    """
    names = list(chosen[TRAINING])
    columns = [(split, n) for split in SPLITS for n in range(max(len(files) for files in chosen[split].values()))]
    figure = new_figure(1.2 * max(len(columns), 4), 0.4 + 1.2 * len(names))
    panels = figure.subplots(len(names), len(columns), squeeze=False)
    for (row, column), axes in np.ndenumerate(panels):
        split, place = columns[column]
        files = chosen[split][names[row]]
        _bare(axes)
        if place < len(files):
            axes.imshow(pixels[files[place]])
        else:
            axes.axis("off")
        if column == 0:
            axes.set_ylabel(names[row], fontsize=9)
        if row == 0 and place == 0:
            axes.set_title(split, fontsize=10, color=SPLIT_COLOURS[split], loc="left", fontweight="bold")
    return figure


def sizes(images: Sequence[Measured], names: Sequence[str]) -> Figure:
    """Width against height, a panel a class; the area of a dot is the share of the class's images of that size."""
    figure, panels = _grid(len(names), 2.6, sharey=True)
    limit = 1.1 * max(max(image.width, image.height) for image in images)
    for axes, name in zip(panels, names, strict=True):
        axes.plot([0, limit], [0, limit], color="grey", linestyle=":", linewidth=1, zorder=0)
        for split in SPLITS:
            found = [(p.width, p.height) for p in images if (p.split, p.class_name) == (split, name)]
            points, counts = np.unique(np.array(found), axis=0, return_counts=True)
            colour = SPLIT_COLOURS[split]
            fill = colour if split == TRAINING else "none"
            areas = 8 + 250 * counts / len(found)
            axes.scatter(points[:, 0], points[:, 1], areas, facecolors=fill, edgecolors=colour, alpha=0.6)
            axes.scatter([], [], 40, facecolors=fill, edgecolors=colour, alpha=0.6, label=split)  # for the legend
        axes.set(title=name, xlim=(0, limit), ylim=(0, limit), box_aspect=1)
    return _labelled(figure, panels, "width (pixels)", "height (pixels)")


def distributions(values: dict[str, dict[str, NDArray[np.float64]]], label: str, reach: float = 1) -> Figure:
    """How often each number occurs, a panel a class: Training filled, Testing as a line.

    Args:
        values: by split and class.
        reach: the quantile of all numbers where the axis ends; larger ones are counted in the last bin.
    """
    names = list(values[TRAINING])
    everything = np.concatenate([each for split in SPLITS for each in values[split].values()])
    low, high = everything.min(), np.quantile(everything, reach)
    if high - low < 1e-6 * max(1, abs(high)):  # all alike
        low, high = low - 0.5, high + 0.5
    fewest = min(len(each) for split in SPLITS for each in values[split].values())
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


def averages(found: dict[tuple[str, str], Average], names: Sequence[str]) -> Figure:
    """A row a class: the average of Training, that of Testing, and how Training's differs from that of all classes."""
    everything = Average.of(found[TRAINING, name] for name in names).mean
    differences = {name: found[TRAINING, name].mean - everything for name in names}
    limit = max(1.0, float(np.quantile(np.abs(list(differences.values())), 0.995)))
    brightest = max(each.mean.max() for each in found.values())
    figure = new_figure(7, 0.6 + 2.0 * len(names))
    panels = figure.subplots(len(names), 3, squeeze=False)
    drawn: Any = None
    for row, name in zip(panels, names, strict=True):
        for axes, split in zip(row, SPLITS, strict=False):
            axes.imshow(found[split, name].mean, cmap="gray", vmin=0, vmax=brightest)
            axes.set_title(f"{split} ({found[split, name].count})", fontsize=9)
        drawn = row[2].imshow(differences[name], cmap="RdBu_r", vmin=-limit, vmax=limit)
        row[2].set_title("Training, less all", fontsize=9)
        row[0].set_ylabel(name)
    for axes in panels.ravel():
        _bare(axes)
    figure.colorbar(drawn, ax=panels[:, 2], shrink=min(1, 2 / len(names)), extend="both", label="grey levels")
    return figure


def _grid(count: int, height: float, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    """Panels for ``count`` classes, ``height`` inches each."""
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
