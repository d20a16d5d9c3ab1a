"""Tables of the report, from the summary: the first cell of a row names it, the other cells are rounded."""

from collections.abc import Sequence

from training.explore.summary import MEASURES, Summary
from training.layout import SPLITS
from training.report import share

Table = tuple[list[str], Sequence[Sequence[object]]]  # head, rows
_MEDIAN = 2  # its index in QUANTILES


def sizes(summary: Summary) -> Table:
    """The commonest sizes of each split and class."""
    return ["split, class", "different sizes", "commonest (width x height, share of the class)"], [
        [title, group["different_sizes"], _shares(group["commonest_sizes"], group["images"])]
        for title, group in _groups(summary).items()
    ]


def files(summary: Summary) -> Table:
    """Formats, modes and bytes of each split and class."""
    head = ["split, class", "format and mode (share of the class)", "file size, median (kB)", "bits per pixel, median"]
    return head, [
        [title, _shares(group["formats"], group["images"])]
        + [f"{group['quantiles'][name][_MEDIAN]:.1f}" for name in ("file size", "bits per pixel")]
        for title, group in _groups(summary).items()
    ]


def means(summary: Summary, names: list[str]) -> Table:
    """The means of some of ``MEASURES`` in each split and class."""
    return ["split, class", *(f"{name} ({MEASURES[name][0]})" for name in names)], [
        [title, *(f"{group['means'][name]:.3g}" for name in names)] for title, group in _groups(summary).items()
    ]


def averages(summary: Summary) -> Table:
    """How much the average image of each class differs from the average of all images."""
    return ["class", "difference", "by chance", "in the border", "by chance"], [
        [name, *(f"{value:.1f}" for value in differences.values())] for name, differences in summary["averages"].items()
    ]


def pairs(summary: Summary) -> Table:
    """How often an image of each class has the larger number; notable shares have a star."""
    measures = summary["pairs"]
    return ["number", *next(iter(measures.values()))], [
        [name, *(f"{share(pair['share'], 0)}{' *' if pair['notable'] else ''}" for pair in row.values())]
        for name, row in measures.items()
    ]


def _groups(summary: Summary) -> dict[str, Summary]:
    """The numbers of each split and class, by a title that names both."""
    return {f"{split}, {name}": group for split in SPLITS for name, group in summary["classes"][split].items()}


def _shares(counts: dict[str, int], total: int) -> str:
    return ", ".join(f"{name} {share(count / total)}" for name, count in counts.items())
