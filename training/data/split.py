"""Which training images a network is fitted on, and which it is validated on."""

import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from training.data.data_set import DataSet
from training.data.errors import DataError
from training.data.groups import Groups
from training.layout import TRAINING


def hold_out(data: DataSet, groups: Groups, share: float, seed: int) -> tuple[list[str], list[str]]:
    """Split the training images into those to fit and those to validate on.

    Groups stay whole, and the classes keep their proportions as far as the groups allow it.

    Args:
        data: The data set.
        groups: Which images belong together.
        share: About which share of the training images is held out for validation.
        seed: Another seed holds out other images.

    Returns:
        The images to fit, and the images to validate on.

    Raises:
        DataError: A class has fewer than two groups, or the sizes of its groups differ too much.
    """
    class_groups: dict[str, set[int]] = defaultdict(set)
    for file in data.training:
        class_groups[Path(file).parent.name].add(groups.groups[file])
    for name in data.class_names:
        if len(class_groups[name]) < 2:
            raise DataError(
                f"{data.folder / TRAINING / name} needs images of two or more patients that are no copies of one "
                "another, one to validate on"
            )
    folds = min(round(1 / share), *(len(numbers) for numbers in class_groups.values()))
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    files, labels = np.array(data.training), data.labels(data.training)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "least populated class": it means groups, and those are enough
        splits = list(splitter.split(files, labels, groups.of(data.training)))
    usable = [split for split in splits if all(len(set(labels[part])) == len(data.class_names) for part in split)]
    if not usable:
        raise DataError(
            f"{data.folder / TRAINING} cannot be split: nearly all images of a class are of one patient, or copies "
            "of one another"
        )
    # Not simply the first fold: scikit-learn puts the largest groups there, however large they are.
    fitted, held = min(usable, key=lambda split: abs(len(split[1]) - share * len(files)))
    return files[fitted].tolist(), files[held].tolist()
