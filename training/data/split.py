"""Which training images a network is fitted on, and which it is validated on."""

import numpy as np

from brain_tumor.quality.fold import fold
from training.data.data_set import DataSet
from training.data.errors import DataError
from training.data.groups import Groups


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
    files, labels = np.array(data.training), data.labels(data.training)
    numbers = groups.of(data.training)
    for label, name in enumerate(data.class_names):
        if len(set(numbers[labels == label].tolist())) < 2:
            raise DataError(
                f"{data.folder}: class {name} needs training images of two or more patients that are no copies of one "
                "another, one to validate on"
            )
    parts = fold(labels, numbers, share, seed)
    if parts is None:
        raise DataError(
            f"the training images of {data.folder} cannot be split: nearly all images of a class are of one patient, "
            "or copies of one another"
        )
    fitted, held = parts
    return files[fitted].tolist(), files[held].tolist()
