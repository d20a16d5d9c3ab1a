"""Finds pairs of images that may be copies: their perceptual hashes differ in few bits in some pair of views."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.audit.views import PAIRS

_MAX_DISTANCE = 8  # bits, of 64, in which the hashes of a candidate may differ
_ROWS = 512  # rows of the table of distances that are in memory at a time


@dataclass(frozen=True)
class Candidates:
    """Pairs of images, each pair once, with the two views in which they are most alike.

    Attributes:
        first: Index of the first image: int64 (n,).
        second: Index of the second image: int64 (n,).
        query: The view of the first image, an index into QUERIES: int64 (n,).
        reference: The view of the second image, an index into REFERENCES: int64 (n,).
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    query: NDArray[np.int64]
    reference: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)

    def only(self, selection: NDArray[np.generic] | slice) -> "Candidates":
        """Some of the pairs, selected by a mask, by indices or by a slice."""
        return Candidates(
            self.first[selection], self.second[selection], self.query[selection], self.reference[selection]
        )


def candidates(queries: NDArray[np.uint64], references: NDArray[np.uint64]) -> Candidates:
    """Find every pair of images that look alike.

    Args:
        queries: The 64-bit hashes of each image's query views: (image, view).
        references: The 64-bit hashes of each image's reference views: (image, view).
    """
    best = _Pairs.none()
    for views, (query, reference) in enumerate(tqdm(PAIRS, desc="candidates", unit="view")):
        parts = [best]
        for start in range(0, len(queries), _ROWS):
            distance = np.bitwise_count(queries[start : start + _ROWS, query, None] ^ references[None, :, reference])
            first, second = np.nonzero(distance <= _MAX_DISTANCE)
            parts.append(_Pairs.of(first + start, second, distance[first, second], views))
        best = _Pairs.closest(parts)
    query, reference = np.array(PAIRS).T[:, best.views]
    return Candidates(best.first.astype(np.int64), best.second.astype(np.int64), query, reference)


@dataclass(frozen=True)
class _Pairs:
    """Pairs of images that look alike, in as few bytes as possible.

    Attributes:
        first: Index of the first image.
        second: Index of the second image.
        distance: Number of bits in which their hashes differ.
        views: The two views, as an index into PAIRS.
    """

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    distance: NDArray[np.uint8]
    views: NDArray[np.uint8]

    @classmethod
    def none(cls) -> "_Pairs":
        return cls(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.uint8), np.empty(0, np.uint8))

    @classmethod
    def of(
        cls, first: NDArray[np.int64], second: NDArray[np.int64], distance: NDArray[np.uint8], views: int
    ) -> "_Pairs":
        """The pairs of one pair of views; an image is not paired with itself."""
        other = first != second
        count = int(other.sum())
        return cls(
            first[other].astype(np.int32),
            second[other].astype(np.int32),
            distance[other],
            np.full(count, views, np.uint8),
        )

    @classmethod
    def closest(cls, parts: "list[_Pairs]") -> "_Pairs":
        """Each pair once, in either order of its images, in the views with the smallest distance.

        Of several views with the same distance, the first is taken.
        """
        columns = [np.concatenate([getattr(part, name) for part in parts]) for name in cls.__annotations__]
        first, second, distance, _ = columns
        pair = np.minimum(first, second).astype(np.int64) << 32 | np.maximum(first, second)
        order = np.argsort(distance, kind="stable")
        _, firsts = np.unique(pair[order], return_index=True)
        return cls(*(column[order[firsts]] for column in columns))
