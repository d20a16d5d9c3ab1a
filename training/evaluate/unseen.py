"""Which test images are new to a trained network: the de-duplicated test set."""

import numpy as np
from numpy.typing import NDArray

from training.data.data_set import DataSet
from training.data.groups import Groups


def unseen(data: DataSet, groups: Groups) -> NDArray[np.bool_]:
    """Select the test images that have no training image in their group, and the first of each set of copies.

    Returns:
        Whether each test image is selected: bool (n,).
    """
    training_groups = {groups.groups[file] for file in data.training}
    selected_copies: set[int] = set()
    mask = []
    for file in data.testing:
        mask.append(groups.groups[file] not in training_groups and groups.copies[file] not in selected_copies)
        selected_copies.add(groups.copies[file])
    return np.array(mask, bool)
