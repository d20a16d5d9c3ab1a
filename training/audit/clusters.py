"""Joins pairs of copies into clusters, and clusters and patients into groups."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from brain_tumor.quality.joined import Pair, equal_pairs, joined
from training.data.data_set import DataSet
from training.data.groups import Groups


def groups_of(data: DataSet, files: Sequence[str], copies: Iterable[Pair]) -> Groups:
    """The images that a split must keep together.

    Args:
        data: The data set, which may name patients.
        files: Its images.
        copies: Pairs of images that show the same, as indices into ``files``.
    """
    copies = list(copies)
    same_patient = equal_pairs([data.patients.get(file) for file in files])
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
