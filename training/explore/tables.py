"""The summary as rows of tables: the first cell names the row, the others are rounded."""

from collections.abc import Sequence

from training.data.layout import SPLITS
from training.explore.summary import MEASURES, Summary
from training.report import share

Table = tuple[list[str], Sequence[Sequence[object]]]  # head, rows
_MEDIAN = 2  # its place in QUANTILES


def sizes(summary: Summary) -> Table:
    """The commonest sizes of each class and split."""
    return ["split, class", "different sizes", "commonest (width x height, share of the class)"], [
        [title, group["different_sizes"], _listed(group["commonest_sizes"], group["images"])]
        for title, group in _groups(summary).items()
    ]


def files(summary: Summary) -> Table:
    """Formats, modes and bytes of each class and split."""
    head = ["split, class", "format and mode (share of the class)", "file size, median (kB)", "bits per pixel, median"]
    return head, [
        [title, _listed(group["formats"], group["images"])]
        + [f"{group['quantiles'][name][_MEDIAN]:.1f}" for name in ("file size", "bits per pixel")]
        for title, group in _groups(summary).items()
    ]


def means(summary: Summary, names: list[str]) -> Table:
    """The means of some of ``MEASURES`` in each class and split."""
    return ["split, class", *(f"{name} ({MEASURES[name][0]})" for name in names)], [
        [title, *(f"{group['means'][name]:.3g}" for name in names)] for title, group in _groups(summary).items()
    ]


def averages(summary: Summary) -> Table:
    """How far each class's average image is from that of all."""
    return ["class", "difference", "by chance", "in the border", "by chance"], [
        [name, *(f"{value:.1f}" for value in each.values())] for name, each in summary["averages"].items()
    ]


def pairs(summary: Summary) -> Table:
    """How often each class has the larger number; a star where that is notable."""
    found = summary["pairs"]
    return ["number", *next(iter(found.values()))], [
        [name, *(f"{share(each['share'], 0)}{' *' if each['notable'] else ''}" for each in row.values())]
        for name, row in found.items()
    ]


def _groups(summary: Summary) -> dict[str, Summary]:
    """Each class by its title, split after split."""
    return {f"{split}, {name}": group for split in SPLITS for name, group in summary["classes"][split].items()}


def _listed(counts: dict[str, int], total: int) -> str:
    return ", ".join(f"{name} {share(count / total)}" for name, count in counts.items())
