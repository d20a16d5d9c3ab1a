"""What the images' numbers say of the classes, as plain numbers: the content of explore.json."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import TESTING, TRAINING
from training.data.layout import SPLITS
from training.explore.measure import FRAME, Average, Measured, Survey
from training.metrics import auroc

Summary = dict[str, Any]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# What is compared between classes, and its unit.
MEASURES: dict[str, tuple[str, Callable[[Measured], float]]] = {
    "width": ("pixels", lambda p: p.width),
    "height": ("pixels", lambda p: p.height),
    "aspect ratio": ("width / height", lambda p: p.width / p.height),
    "file size": ("kB", lambda p: p.bytes / 1000),
    "bits per pixel": ("bits", lambda p: 8 * p.bytes / (p.width * p.height)),
    "brightness": ("mean grey level", lambda p: p.mean),
    "contrast": ("standard deviation, grey levels", lambda p: p.standard_deviation),
    "black share": ("of the pixels", lambda p: p.black),
    "border brightness": ("mean grey level", lambda p: p.border_mean),
    "border contrast": ("standard deviation, grey levels", lambda p: p.border_standard_deviation),
}
_COMMONEST = 5  # sizes that are named
# A class stands out where its images have the larger number in 60 % of pairs or 40 %, and chance alone would not
# give that: three standard errors.
_STANDS_OUT, _STANDARD_ERRORS = 0.1, 3


def summarise(survey: Survey, class_names: Sequence[str]) -> Summary:
    """Everything a report says, rounded, with keys in a fixed order."""
    images = survey.images
    split = np.array([image.split for image in images])
    label = np.array([class_names.index(image.class_name) for image in images])
    values = {name: np.array([of(image) for image in images], float) for name, (_, of) in MEASURES.items()}
    groups = {
        each: {name: (split == each) & (label == index) for index, name in enumerate(class_names)} for each in SPLITS
    }
    return {
        "images": {each: int((split == each).sum()) for each in SPLITS},
        "classes": {
            each: {
                name: _group([images[place] for place in np.flatnonzero(mask)], values, mask)
                for name, mask in masks.items()
            }
            for each, masks in groups.items()
        },
        "pairs": {
            name: {
                **{of: larger(each[mask], each[(split == TRAINING) & ~mask]) for of, mask in groups[TRAINING].items()},
                TESTING: larger(each[split == TESTING], each[split == TRAINING]),
            }
            for name, each in values.items()
        },
        "looked_up": {
            "nothing": looked_up([None] * len(images), label, split),
            "size": looked_up([(image.width, image.height) for image in images], label, split),
            "format and mode": looked_up([(image.format, image.mode) for image in images], label, split),
        },
        "averages": _averages(survey.averages, class_names),
    }


def by_class(images: Sequence[Measured], name: str) -> dict[str, dict[str, NDArray[np.float64]]]:
    """One of ``MEASURES`` of every image, by split and class."""
    found: dict[str, dict[str, list[float]]] = {split: {} for split in SPLITS}
    for image in images:
        found[image.split].setdefault(image.class_name, []).append(MEASURES[name][1](image))
    return {split: {of: np.array(each) for of, each in sorted(classes.items())} for split, classes in found.items()}


def larger(ours: NDArray[np.float64], others: NDArray[np.float64]) -> dict[str, Any]:
    """In which share of pairs the first has the larger number (equal ones count half), and whether that is notable.

    That share is the area under the receiver operating characteristic of the number alone; 0.5 tells nothing.
    """
    count, other = len(ours), len(others)
    rate = auroc(np.concatenate([ours, others]), np.arange(count + other) < count, np.ones(count + other)) or 0.0
    error = np.sqrt((count + other + 1) / (12 * count * other))  # of the share, were there no difference
    notable = abs(rate - 0.5) >= max(_STANDS_OUT, _STANDARD_ERRORS * error)
    return {"share": round(rate, 4), "notable": bool(notable)}


def looked_up(keys: Sequence[Hashable], label: NDArray[np.int64], split: NDArray[np.str_]) -> float:
    """The accuracy on Testing of answering the class that is commonest in Training among images of the same key."""
    seen: dict[Hashable, Counter[int]] = {}
    everything: Counter[int] = Counter()
    for key, of, where in zip(keys, label.tolist(), split, strict=True):
        if where == TRAINING:
            seen.setdefault(key, Counter())[of] += 1
            everything[of] += 1
    tested = [(key, of) for key, of, where in zip(keys, label.tolist(), split, strict=True) if where == TESTING]
    return round(sum(_commonest(seen.get(key, everything)) == of for key, of in tested) / len(tested), 4)


def _commonest(counts: Counter[int]) -> int:
    """The first class of those with the largest count."""
    return min(counts, key=lambda of: (-counts[of], of))


def _group(images: list[Measured], values: dict[str, NDArray[np.float64]], mask: NDArray[np.bool_]) -> Summary:
    """One class in one split."""
    sizes = Counter((image.width, image.height) for image in images)
    kinds = Counter(f"{image.format} {image.mode}" for image in images)
    return {
        "images": len(images),
        "different_sizes": len(sizes),
        "commonest_sizes": {f"{width}x{height}": n for (width, height), n in _counted(sizes)[:_COMMONEST]},
        "formats": dict(_counted(kinds)),
        "border_not_black": round(sum(image.border_black < 0.5 for image in images) / len(images), 4),
        "means": {name: round(float(each[mask].mean()), 4) for name, each in values.items()},
        "quantiles": {name: np.quantile(each[mask], QUANTILES).round(4).tolist() for name, each in values.items()},
    }


def _counted(counts: Counter[Any]) -> list[tuple[Any, int]]:
    """The commonest first, equal ones by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _averages(averages: dict[tuple[str, str], Average], class_names: Sequence[str]) -> Summary:
    """How far each class's average of Training is from that of all: root mean square over pixels, grey levels."""
    everything = Average.of(averages[TRAINING, name] for name in class_names)
    side = len(everything.mean)
    frame = max(1, round(FRAME * side))
    border = np.ones((side, side), bool)
    border[frame:-frame, frame:-frame] = False
    found: Summary = {}
    for name in class_names:
        part = averages[TRAINING, name]
        difference = part.mean - everything.mean
        chance = everything.variance * (1 / part.count - 1 / everything.count)  # of a random choice as large
        found[name] = {
            "difference": _root_mean(difference**2),
            "by_chance": _root_mean(chance),
            "border_difference": _root_mean(difference[border] ** 2),
            "border_by_chance": _root_mean(chance[border]),
        }
    return found


def _root_mean(squares: NDArray[np.float64]) -> float:
    return round(float(np.sqrt(squares.mean())), 3)
