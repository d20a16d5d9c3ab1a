"""Compares the classes by the numbers of their images: the content of explore.json."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain_tumor.quality.metrics import auroc
from training.explore.measure import FRAME, Average, Measured, Survey
from training.layout import SPLITS, TESTING, TRAINING

Summary = dict[str, Any]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# The numbers in which classes are compared, each with its unit.
MEASURES: dict[str, tuple[str, Callable[[Measured], float]]] = {
    "width": ("pixels", lambda image: image.width),
    "height": ("pixels", lambda image: image.height),
    "aspect ratio": ("width / height", lambda image: image.width / image.height),
    "file size": ("kB", lambda image: image.bytes / 1000),
    "bits per pixel": ("bits", lambda image: 8 * image.bytes / (image.width * image.height)),
    "brightness": ("mean grey level", lambda image: image.mean),
    "contrast": ("standard deviation, grey levels", lambda image: image.standard_deviation),
    "black share": ("of the pixels", lambda image: image.black),
    "border brightness": ("mean grey level", lambda image: image.border_mean),
    "border contrast": ("standard deviation, grey levels", lambda image: image.border_standard_deviation),
}
_COMMONEST = 5  # sizes that are listed
# A difference is notable if one class has the larger number in at least 60 % or at most 40 % of the pairs, and if this
# share is at least three standard errors away from chance.
_NOTABLE, _STANDARD_ERRORS = 0.1, 3


def summarise(survey: Survey, class_names: Sequence[str]) -> Summary:
    """Everything that a report states, rounded, with keys in a fixed order."""
    images = survey.images
    splits = np.array([image.split for image in images])
    labels = np.array([class_names.index(image.class_name) for image in images])
    values = {name: np.array([of(image) for image in images], float) for name, (_, of) in MEASURES.items()}
    masks = {
        split: {name: (splits == split) & (labels == label) for label, name in enumerate(class_names)}
        for split in SPLITS
    }
    return {
        "images": {split: int((splits == split).sum()) for split in SPLITS},
        "classes": {
            split: {
                name: _group([images[index] for index in np.flatnonzero(mask)], values, mask)
                for name, mask in masks[split].items()
            }
            for split in SPLITS
        },
        "pairs": {name: _pairs(numbers, splits, masks[TRAINING]) for name, numbers in values.items()},
        "majority_class_lookup": {
            "nothing": majority_class_lookup([None] * len(images), labels, splits),
            "size": majority_class_lookup([(image.width, image.height) for image in images], labels, splits),
            "format and mode": majority_class_lookup([(image.format, image.mode) for image in images], labels, splits),
        },
        "averages": _averages(survey.averages, class_names),
    }


def by_class(images: Sequence[Measured], name: str) -> dict[str, dict[str, NDArray[np.float64]]]:
    """One of ``MEASURES`` of every image, by split and class."""
    values: dict[str, dict[str, list[float]]] = {split: {} for split in SPLITS}
    for image in images:
        values[image.split].setdefault(image.class_name, []).append(MEASURES[name][1](image))
    return {
        split: {class_name: np.array(numbers) for class_name, numbers in sorted(classes.items())}
        for split, classes in values.items()
    }


def probability_of_superiority(ours: NDArray[np.float64], others: NDArray[np.float64]) -> dict[str, Any]:
    """In which share of all pairs the first has the larger number, equal ones counting half.

    That share is the area under the receiver operating characteristic (AUROC) of the number alone; 0.5 means that the
    number does not separate the two.

    Args:
        ours: The numbers of the first set.
        others: The numbers of the second set.

    Returns:
        ``share``, and whether it is ``notable``.
    """
    count, other = len(ours), len(others)
    rate = auroc(np.concatenate([ours, others]), np.arange(count + other) < count, np.ones(count + other)) or 0.0
    error = np.sqrt((count + other + 1) / (12 * count * other))  # standard error of the share if there is no difference
    notable = abs(rate - 0.5) >= max(_NOTABLE, _STANDARD_ERRORS * error)
    return {"share": round(rate, 4), "notable": bool(notable)}


def majority_class_lookup(keys: Sequence[Hashable], labels: NDArray[np.int64], splits: NDArray[np.str_]) -> float:
    """The accuracy on Testing of a table that predicts the class by a key alone.

    For each key, the table predicts the class that is commonest among the training images with that key; for a key that
    is not in Training, the class that is commonest there.

    Args:
        keys: The key of each image.
        labels: The class of each image: int64 (n,).
        splits: The split of each image: (n,).
    """
    by_key: dict[Hashable, Counter[int]] = {}
    everything: Counter[int] = Counter()
    for key, label, split in zip(keys, labels.tolist(), splits, strict=True):
        if split == TRAINING:
            by_key.setdefault(key, Counter())[label] += 1
            everything[label] += 1
    tests = [(key, label) for key, label, split in zip(keys, labels.tolist(), splits, strict=True) if split == TESTING]
    return round(sum(_majority(by_key.get(key, everything)) == label for key, label in tests) / len(tests), 4)


def _majority(counts: Counter[int]) -> int:
    """The class with the largest count; of equal ones, the first."""
    return min(counts, key=lambda label: (-counts[label], label))


def _group(images: list[Measured], values: dict[str, NDArray[np.float64]], mask: NDArray[np.bool_]) -> Summary:
    """The numbers of one class in one split."""
    sizes = Counter((image.width, image.height) for image in images)
    kinds = Counter(f"{image.format} {image.mode}" for image in images)
    return {
        "images": len(images),
        "different_sizes": len(sizes),
        "commonest_sizes": {f"{width}x{height}": n for (width, height), n in _commonest_first(sizes)[:_COMMONEST]},
        "formats": dict(_commonest_first(kinds)),
        "border_not_black": round(sum(image.border_black < 0.5 for image in images) / len(images), 4),
        "means": {name: round(float(numbers[mask].mean()), 4) for name, numbers in values.items()},
        "quantiles": {
            name: np.quantile(numbers[mask], QUANTILES).round(4).tolist() for name, numbers in values.items()
        },
    }


def _pairs(numbers: NDArray[np.float64], splits: NDArray[np.str_], classes: dict[str, NDArray[np.bool_]]) -> Summary:
    """One number compared: each class of Training with the other classes, and Testing with Training."""
    in_training = splits == TRAINING
    return {
        **{
            name: probability_of_superiority(numbers[mask], numbers[in_training & ~mask])
            for name, mask in classes.items()
        },
        TESTING: probability_of_superiority(numbers[splits == TESTING], numbers[in_training]),
    }


def _commonest_first(counts: Counter[Any]) -> list[tuple[Any, int]]:
    """The counts in descending order; equal ones by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _averages(averages: dict[tuple[str, str], Average], class_names: Sequence[str]) -> Summary:
    """How much the average of each class of Training differs from that of all: root mean square over pixels."""
    everything = Average.of(averages[TRAINING, name] for name in class_names)
    side = len(everything.mean)
    frame = max(1, round(FRAME * side))
    border = np.ones((side, side), bool)
    border[frame:-frame, frame:-frame] = False
    differences: Summary = {}
    for name in class_names:
        average = averages[TRAINING, name]
        difference = average.mean - everything.mean
        chance = everything.variance * (1 / average.count - 1 / everything.count)  # of as many images drawn at random
        differences[name] = {
            "difference": _root_mean(difference**2),
            "by_chance": _root_mean(chance),
            "border_difference": _root_mean(difference[border] ** 2),
            "border_by_chance": _root_mean(chance[border]),
        }
    return differences


def _root_mean(squares: NDArray[np.float64]) -> float:
    return round(float(np.sqrt(squares.mean())), 3)
