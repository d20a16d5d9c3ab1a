"""The report of an audit: how many copies there are, what they look like, and how accurate shortcuts are."""

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from brain_tumor.metadata import ImageSpec
from brain_tumor.preprocess import Preprocessor
from training.audit.copies import NEAR, SAME_FILE, SAME_PIXELS
from training.data.data_set import DataSet
from training.layout import SPLITS, TESTING
from training.report import Report, new_figure, share, share_with_interval

_BOTH = "across both"
_MAX_PAIRS = 8  # in a figure
_MAX_CLUSTERS = 20  # in a table
_SIDE = 160  # pixels a side of the images in figures


def write(data: DataSet, result: dict[str, Any], out: Path) -> Path:
    """Write the report into ``out``; returns the path of the HTML page.

    Args:
        data: The data set.
        result: The content of ``audit.json``.
        out: The report's folder.
    """
    report = Report("Audit", out, data.name)
    _copies(report, data, result)
    _clusters(report, result)
    _shortcuts(report, result)
    return report.write()


def _copies(report: Report, data: DataSet, result: dict[str, Any]) -> None:
    report.heading("Copies")
    report.text(
        f"{result['superfluous']:,} of {sum(result['images'].values()):,} images are copies of other images: the same "
        "file, the same pixels, or nearly the same after one image was turned, mirrored, rescaled, changed in "
        "brightness or freed of a banner. Splits keep all copies of an image on one side, and the de-duplicated test "
        "metrics leave out the test images that have a copy in Training."
    )
    counts = Counter((copy["kind"], _where(data, copy)) for copy in result["copies"])
    columns = (*(f"within {split}" for split in SPLITS), _BOTH)
    report.table(
        ["pairs found", *columns],
        [[kind, *(counts[kind, column] for column in columns)] for kind in (SAME_FILE, SAME_PIXELS, NEAR)],
        "Of several equal images, each is paired with the first one only.",
    )
    report.table(
        ["class", "test images", "with a copy in Training"],
        [
            [name, tested["images"], f"{tested['seen']} ({share(tested['seen'] / tested['images'])})"]
            for name, tested in result[TESTING].items()
        ],
        "How many of the test images a network has already seen in training.",
    )
    near = sorted((copy for copy in result["copies"] if copy["kind"] == NEAR), key=lambda copy: copy["agreement"])
    if near:
        report.figure(
            _pairs(data, near[:_MAX_PAIRS]),
            "near-copies",
            "The near copies that agree least. If these are not copies, the audit finds too many.",
        )
    if result["contradictory"]:
        pairs = [
            {"first": cluster[0], "second": _other_class(data, cluster)}
            for cluster in result["contradictory"][:_MAX_PAIRS]
        ]
        report.figure(
            _pairs(data, pairs), "contradictory", "Copies in folders of different classes: one of the labels is wrong."
        )


def _clusters(report: Report, result: dict[str, Any]) -> None:
    report.heading("Clusters")
    if not result["clusters"]:
        report.text("No image has a copy.")
        return
    report.text(
        f"There are {len(result['clusters']):,} clusters of copies. {result['across_splits']:,} of them have images in "
        f"both splits, and in {len(result['contradictory']):,} the labels contradict each other. A cluster also holds "
        "the copies of copies, so the first and the last image of a very large cluster may differ."
    )
    sizes = Counter(len(cluster) for cluster in result["clusters"])
    report.table(
        ["images in a cluster", "clusters"], sorted(sizes.items()), "groups.json lists all images that have a copy."
    )
    report.table(
        ["largest clusters", "images", "first three"],
        [
            [number, len(cluster), ", ".join(cluster[:3])]
            for number, cluster in enumerate(result["clusters"][:_MAX_CLUSTERS], 1)
        ],
    )


def _shortcuts(report: Report, result: dict[str, Any]) -> None:
    report.heading("Shortcuts")
    chance = result["shortcuts"][0]["chance"]
    above = [shortcut["sees"] for shortcut in result["shortcuts"] if shortcut["interval"][0] > chance]
    report.text(
        f"A classifier that never sees a head does better than chance with: {', '.join(above)}. A network can learn "
        "these properties instead of the anatomy; its metrics on this data set are then too good."
        if above
        else "None of these classifiers does better than chance."
    )
    report.table(
        ["a random forest that sees", "balanced accuracy (95 % interval)", "chance"],
        [
            [
                shortcut["sees"],
                share_with_interval(shortcut["balanced_accuracy"], shortcut["interval"]),
                share(chance),
            ]
            for shortcut in result["shortcuts"]
        ],
        "Cross-validated on Training with whole groups; intervals by a bootstrap over groups.",
    )


def _pairs(data: DataSet, pairs: list[dict[str, Any]]) -> Figure:
    """A column for each pair of images, with their agreement below it where it is given."""
    figure = new_figure(1.5 * len(pairs), 3.6)
    preprocessor = Preprocessor(ImageSpec(_SIDE, _SIDE))
    for column, pair in enumerate(pairs):
        for row, name in enumerate(("first", "second")):
            axes = figure.add_subplot(2, len(pairs), 1 + column + row * len(pairs))
            axes.imshow(np.asarray(preprocessor.from_bytes((data.folder / pair[name]).read_bytes())[0]))
            title = [data.split_of(pair[name]), data.classes[pair[name]], PurePosixPath(pair[name]).stem[-16:]]
            axes.set_title("\n".join(title), fontsize=6, parse_math=False)
            axes.set_axis_off()
        if "agreement" in pair:
            axes.text(
                0.5, -0.05, f"{pair['agreement']:.3f}", transform=axes.transAxes, ha="center", va="top", fontsize=7
            )
    return figure


def _where(data: DataSet, pair: dict[str, Any]) -> str:
    files = (pair["first"], pair["second"])
    return _BOTH if data.is_across_splits(files) else f"within {data.split_of(files[0])}"


def _other_class(data: DataSet, cluster: list[str]) -> str:
    """The first image whose class is not the class of the cluster's first image."""
    return next(file for file in cluster if data.classes[file] != data.classes[cluster[0]])
