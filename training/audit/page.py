"""The audit's report: how many copies, what they look like, and how far shortcuts go."""

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from brain_tumor.image import Preprocessor
from training.audit.clusters import NEAR, SAME_FILE, SAME_PIXELS, across, class_of
from training.data import TESTING, DataSet
from training.data.layout import SPLITS
from training.report import Report, new_figure, share, share_with_interval

_BOTH = "across both"
_SHOWN = 8  # pairs in a figure
_LISTED = 20  # clusters in a table
_SIDE = 160  # of the images shown, pixels


def write(data: DataSet, found: dict[str, Any], out: Path) -> Path:
    """Write ``out/report.html``; returns its path.

    Args:
        found: what ``audit.json`` holds.
    """
    report = Report("Audit", out, data.name)
    _copies(report, data, found)
    _clusters(report, found)
    _shortcuts(report, found)
    return report.write()


def _copies(report: Report, data: DataSet, found: dict[str, Any]) -> None:
    report.heading("Copies")
    report.text(
        f"Of {sum(found['images'].values()):,} images {found['superfluous']:,} are copies of others: the same "
        "file, the same pixels, or nearly the same once turned, mirrored, rescaled, relit or rid of a banner. "
        "Splits keep copies together; the de-duplicated test figures leave out what Training holds."
    )
    kinds = Counter((each["kind"], _where(each)) for each in found["copies"])
    places = (*(f"within {split}" for split in SPLITS), _BOTH)
    report.table(
        ["pairs found", *places],
        [[kind, *(kinds[kind, place] for place in places)] for kind in (SAME_FILE, SAME_PIXELS, NEAR)],
        "Of many equal images each is counted with the first alone.",
    )
    report.table(
        ["class", "test images", "with a copy in Training"],
        [
            [name, each["images"], f"{each['seen']} ({share(each['seen'] / each['images'])})"]
            for name, each in found[TESTING].items()
        ],
        "How much of the test a network has seen while it learnt.",
    )
    near = sorted((each for each in found["copies"] if each["kind"] == NEAR), key=lambda each: each["agreement"])
    if near:
        report.figure(
            _pairs(data, near[:_SHOWN]),
            "doubtful",
            "The near copies that agree least: look here whether the audit calls too much a copy.",
        )
    if found["contradictory"]:
        pairs = [{"first": each[0], "second": _other_class(each)} for each in found["contradictory"][:_SHOWN]]
        report.figure(
            _pairs(data, pairs), "contradictory", "Copies in folders of different classes: one of the labels is wrong."
        )


def _clusters(report: Report, found: dict[str, Any]) -> None:
    report.heading("Clusters")
    if not found["clusters"]:
        report.text("No image has a copy.")
        return
    report.text(
        f"{len(found['clusters']):,} clusters of copies; {found['across_splits']:,} lie in both splits, and in "
        f"{len(found['contradictory']):,} the labels contradict. A cluster is what copies of copies connect; a very "
        "large one can be a chain of images of which the ends differ."
    )
    sizes = Counter(len(each) for each in found["clusters"])
    report.table(
        ["images in a cluster", "clusters"], sorted(sizes.items()), "All images with a copy are in groups.json."
    )
    report.table(
        ["largest clusters", "images", "first three"],
        [[number, len(each), ", ".join(each[:3])] for number, each in enumerate(found["clusters"][:_LISTED], 1)],
    )


def _shortcuts(report: Report, found: dict[str, Any]) -> None:
    report.heading("Shortcuts")
    chance = found["shortcuts"][0]["chance"]
    above = [each["sees"] for each in found["shortcuts"] if each["interval"][0] > chance]
    report.text(
        f"A classifier that never sees a head does better than chance on: {', '.join(above)}. A network can learn "
        "these in place of the anatomy; its figures on this data set then promise too much."
        if above
        else "None of these classifiers does better than chance."
    )
    report.table(
        ["a random forest that sees", "balanced accuracy (95 % interval)", "chance"],
        [
            [
                each["sees"],
                share_with_interval(each["balanced_accuracy"], each["interval"]),
                share(chance),
            ]
            for each in found["shortcuts"]
        ],
        "Cross-validated on Training, groups kept whole; intervals by a bootstrap over groups.",
    )


def _pairs(data: DataSet, pairs: list[dict[str, Any]]) -> Figure:
    figure = new_figure(1.5 * len(pairs), 3.6)
    preprocessor = Preprocessor(_SIDE, _SIDE)
    for column, pair in enumerate(pairs):
        for row, name in enumerate(("first", "second")):
            axes = figure.add_subplot(2, len(pairs), 1 + column + row * len(pairs))
            axes.imshow(np.asarray(preprocessor.from_bytes((data.folder / pair[name]).read_bytes())[0]))
            path = PurePosixPath(pair[name])
            axes.set_title("\n".join([path.parts[0], path.parts[1], path.stem[-16:]]), fontsize=6, parse_math=False)
            axes.set_axis_off()
        if "agreement" in pair:
            axes.text(
                0.5, -0.05, f"{pair['agreement']:.3f}", transform=axes.transAxes, ha="center", va="top", fontsize=7
            )
    return figure


def _where(pair: dict[str, Any]) -> str:
    files = (pair["first"], pair["second"])
    return _BOTH if across(files) else f"within {PurePosixPath(files[0]).parts[0]}"


def _other_class(cluster: list[str]) -> str:
    return next(file for file in cluster if class_of(file) != class_of(cluster[0]))
