"""Which training images a network learns from, and which it is validated on."""

import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from training.data import TRAINING, DataError, DataSet
from training.data.groups import Groups


def hold_out(data: DataSet, groups: Groups, share: float, seed: int) -> tuple[list[str], list[str]]:
    """Split the training images into those to fit and about ``share`` of them to validate on.

    Groups stay whole, classes keep their proportions as far as the groups let them.

    Raises:
        DataError: a class has too few groups to spare one, or its groups are too unequal.
    """
    members: dict[str, set[int]] = defaultdict(set)
    for file in data.training:
        members[Path(file).parent.name].add(groups.groups[file])
    for name in data.class_names:
        if len(members[name]) < 2:
            raise DataError(
                f"{data.folder / TRAINING / name} needs images of two or more patients that are no copies of one "
                "another, one to validate on"
            )
    folds = min(round(1 / share), *(len(each) for each in members.values()))
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    files, labels = np.array(data.training), data.labels(data.training)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "least populated class": groups, which it means, are enough
        splits = list(splitter.split(files, labels, groups.of(data.training)))
    whole = [split for split in splits if all(len(set(labels[part])) == len(data.class_names) for part in split)]
    if not whole:
        raise DataError(
            f"{data.folder / TRAINING} cannot be split: nearly all images of a class are of one patient, or copies "
            "of one another"
        )
    # Not simply the first fold: the largest groups go there, however large they are.
    fitted, held = min(whole, key=lambda split: abs(len(split[1]) - share * len(files)))
    return files[fitted].tolist(), files[held].tolist()
