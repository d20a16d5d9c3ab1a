"""Joins what pairs connect: if one image is a copy of a second one, and that of a third one, then all three belong
together.
"""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

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


def equal_pairs(values: Sequence[Hashable | None]) -> list[Pair]:
    """Pair every item with the first one of the same value; None equals nothing."""
    firsts: dict[Hashable, int] = {}
    return [(firsts.setdefault(value, index), index) for index, value in enumerate(values) if value is not None]
