"""Draws the test images of a data set that has no test folder.

Images of one patient, and exact copies of a file, stay on one side. The same images always give the same test images:
whichever command asks, on whichever machine.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from brain_tumor.quality.fold import fold
from brain_tumor.quality.joined import equal_pairs, joined
from training.data.errors import DataError
from training.layout import TESTING, TRAINING

SHARE = 0.2
SEED = 0
_GROUPS = 3  # that a class needs: to fit, to validate and to test


def draw(classes: Mapping[str, str], patients: Mapping[str, Any], hashes: Mapping[str, str]) -> dict[str, str]:
    """Training or Testing for each image; about ``SHARE`` of the images of each class are for the test.

    Args:
        classes: The class of each image, by relative path.
        patients: The patient of each image whose patient is known.
        hashes: The SHA-256 of each image.

    Raises:
        DataError: A class has too few patients, or nearly all of its images are of one patient.
    """
    files = sorted(classes)
    names = sorted(set(classes.values()))
    labels = np.array([names.index(classes[file]) for file in files], np.int64)
    pairs = equal_pairs([patients.get(file) for file in files]) + equal_pairs([hashes[file] for file in files])
    groups = np.array(joined(len(files), pairs), np.int64)
    for label, name in enumerate(names):
        if len(set(groups[labels == label].tolist())) < _GROUPS:
            raise DataError(
                f"no test images can be drawn: class {name} needs images of {_GROUPS} or more patients that are no "
                "copies of one another, to fit, to validate and to test"
            )
    parts = fold(labels, groups, SHARE, SEED)
    if parts is None:
        raise DataError(
            "no test images can be drawn: nearly all images of a class are of one patient, or copies of one another"
        )
    tested = set(parts[1].tolist())
    return {file: TESTING if index in tested else TRAINING for index, file in enumerate(files)}
