"""Copies of copies are copies: pairs to clusters, clusters and patients to groups, and labels that contradict."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from training.data import DataSet
from training.data.groups import Groups

Pair = tuple[int, int]
SAME_FILE, SAME_PIXELS, NEAR = "same file", "same pixels", "near"  # kinds of copies


def joined(count: int, pairs: Iterable[Pair]) -> list[int]:
    """Number ``count`` things so that all that pairs connect, directly or through others, have one number."""
    edges = np.array(list(pairs), np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1].tolist()


def groups_of(data: DataSet, files: Sequence[str], copies: Iterable[Pair]) -> Groups:
    """What the splits must keep together.

    Args:
        copies: pairs of places in ``files`` that show the same.
    """
    copies = list(copies)
    firsts: dict[object, int] = {}
    patients = [
        (firsts.setdefault(data.patients[file], place), place)
        for place, file in enumerate(files)
        if file in data.patients
    ]
    numbers = (joined(len(files), pairs) for pairs in ([*copies, *patients], copies))
    by_group, by_copy = (dict(zip(files, each, strict=True)) for each in numbers)
    return Groups(by_group, by_copy, audited=True)


def clusters(groups: Groups) -> list[list[str]]:
    """Images that show the same, two or more each, the largest cluster first."""
    members = defaultdict(list)
    for file, number in groups.copies.items():
        members[number].append(file)
    return sorted((sorted(each) for each in members.values() if len(each) > 1), key=lambda each: (-len(each), each))


def contradictory(cluster: Sequence[str]) -> bool:
    """Whether copies of one image lie in folders of several classes."""
    return len({class_of(file) for file in cluster}) > 1


def across(cluster: Sequence[str]) -> bool:
    """Whether copies of one image lie in both splits."""
    return len({PurePosixPath(file).parts[0] for file in cluster}) > 1


def class_of(file: str) -> str:
    """The class folder of an image's relative path."""
    return PurePosixPath(file).parent.name
