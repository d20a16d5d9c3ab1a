"""Joins pairs of copies into clusters, and clusters and patients into groups; finds labels that contradict each other.

If one image is a copy of a second one, and that of a third one, then all three are in one cluster.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from training.data.data_set import DataSet
from training.data.groups import Groups

Pair = tuple[int, int]


def joined(count: int, pairs: Iterable[Pair]) -> list[int]:
    """Number items so that those which pairs connect, directly or through others, have the same number.

    Args:
        count: How many items there are.
        pairs: Pairs of items, by index.

    Returns:
        The number of each item.
    """
    edges = np.array(list(pairs), np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1].tolist()


def groups_of(data: DataSet, files: Sequence[str], copies: Iterable[Pair]) -> Groups:
    """The images that a split must keep together.

    Args:
        data: The data set, which may name patients.
        files: Its images.
        copies: Pairs of images that show the same, as indices into ``files``.
    """
    copies = list(copies)
    first_of_patient: dict[object, int] = {}
    same_patient = [
        (first_of_patient.setdefault(data.patients[file], index), index)
        for index, file in enumerate(files)
        if file in data.patients
    ]
    groups = dict(zip(files, joined(len(files), [*copies, *same_patient]), strict=True))
    return Groups(groups, dict(zip(files, joined(len(files), copies), strict=True)), audited=True)


def clusters(groups: Groups) -> list[list[str]]:
    """The sets of two or more images that show the same, the largest first."""
    members = defaultdict(list)
    for file, number in groups.copies.items():
        members[number].append(file)
    return sorted(
        (sorted(files) for files in members.values() if len(files) > 1), key=lambda files: (-len(files), files)
    )


def has_several_classes(cluster: Sequence[str]) -> bool:
    """Whether the copies of an image lie in folders of several classes; then at least one label is wrong."""
    return len({class_of(file) for file in cluster}) > 1


def is_in_both_splits(cluster: Sequence[str]) -> bool:
    """Whether the copies of an image lie in both splits."""
    return len({PurePosixPath(file).parts[0] for file in cluster}) > 1


def class_of(file: str) -> str:
    """The class folder of an image's relative path."""
    return PurePosixPath(file).parent.name
