"""A volume's or series' summary, from the rows of its slices."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from brain_tumor_client.results.row import Row

_DECIMALS = 6  # as the service rounds probabilities


@dataclass
class Summary:
    """Counts and means over the images of a volume that were classified; ``failed`` are the others.

    Attributes:
        counts: How many images of each class.
        sums: The sum of each class' probability.
        flagged: How many images are flagged as out of distribution.
        most_certain: The row with the largest probability; the first of several.
    """

    volume: str
    images: int = 0
    failed: int = 0
    flagged: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    sums: dict[str, float] = field(default_factory=dict)
    most_certain: Row | None = None

    def add(self, row: Row) -> None:
        """Count one image."""
        if row.class_name is None:
            self.failed += 1
            return
        self.images += 1
        self.flagged += bool(row.ood_flag)
        self.counts[row.class_name] += 1
        for name, probability in row.probabilities.items():
            self.sums[name] = self.sums.get(name, 0.0) + probability
        if self.most_certain is None or _confidence(row) > _confidence(self.most_certain):
            self.most_certain = row

    def document(self, classes: Iterable[str]) -> dict[str, Any]:
        """The summary as JSON."""
        best = self.most_certain
        images = self.images
        return {
            "volume": self.volume,
            "images": images,
            "failed": self.failed,
            "counts": {name: self.counts[name] for name in classes},
            "mean_probabilities": {
                name: round(self.sums.get(name, 0.0) / images, _DECIMALS) if images else None for name in classes
            },
            "most_certain_path": best and best.path,
            "most_certain_plane": best and best.plane,
            "most_certain_slice": best and best.slice,
            "most_certain_frame": best and best.frame,
            "most_certain_class": best and best.class_name,
            "most_certain_probability": _confidence(best) if best else None,
            "share_out_of_distribution": round(self.flagged / images, _DECIMALS) if images else None,
        }


def summaries(rows: Iterable[Row]) -> Iterator[Summary]:
    """Sum up the volumes of rows; those of one volume must follow each other."""
    for volume, of_volume in groupby(rows, key=lambda row: row.volume):
        if volume is not None:
            summary = Summary(volume)
            for row in of_volume:
                summary.add(row)
            yield summary


def _confidence(row: Row) -> float:
    return max(row.probabilities.values(), default=0.0)
