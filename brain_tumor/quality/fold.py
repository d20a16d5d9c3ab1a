"""Which images are held out, to validate or to test on: whole groups, of every class."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold


def fold(
    labels: NDArray[np.int64], groups: NDArray[np.int64], share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Hold out a share of the images, so that groups stay whole and the classes keep their proportions.

    Args:
        labels: The class of each image, from 0 without a gap; each class has two groups or more: int64 (n,).
        groups: The group of each image: int64 (n,).
        share: About which share of the images is held out.
        seed: Another seed holds out other images.

    Returns:
        The indices of the images that stay, and of those that are held out; None where no division leaves every class
        on both sides.
    """
    classes = len(set(labels.tolist()))
    fewest = min(len(set(groups[labels == label].tolist())) for label in range(classes))
    splitter = StratifiedGroupKFold(min(round(1 / share), fewest), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "least populated class": it means groups, and those are enough
        divisions = list(splitter.split(labels, labels, groups))
    usable = [parts for parts in divisions if all(len(set(labels[part])) == classes for part in parts)]
    # Not simply the first fold: scikit-learn puts the largest groups there, however large they are.
    return min(usable, key=lambda parts: abs(len(parts[1]) - share * len(labels)), default=None)
