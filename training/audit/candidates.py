"""Pairs of images that may be copies: those whose perceptual hashes differ in few bits, in some pair of views."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.audit.views import PAIRS

_BITS = 8  # of 64 in which the hashes of a candidate differ at most
_ROWS = 512  # of the table of distances that are held at a time


@dataclass(frozen=True)
class Candidates:
    """Pairs of images, each once and in the pair of views that makes them most alike; all int64 (n,).

    ``first`` is seen through QUERIES[query], ``second`` through REFERENCES[reference].
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    query: NDArray[np.int64]
    reference: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)

    def only(self, chosen: NDArray[np.generic] | slice) -> "Candidates":
        """Some of them, by a mask or by places."""
        return Candidates(self.first[chosen], self.second[chosen], self.query[chosen], self.reference[chosen])


def candidates(queries: NDArray[np.uint64], references: NDArray[np.uint64]) -> Candidates:
    """Every pair that resembles each other.

    Args:
        queries, references: 64-bit hashes, (image, view).
    """
    best = _Rows.none()
    for place, (query, reference) in enumerate(tqdm(PAIRS, desc="candidates", unit="view")):
        found = [best]
        for start in range(0, len(queries), _ROWS):
            apart = np.bitwise_count(queries[start : start + _ROWS, query, None] ^ references[None, :, reference])
            first, second = np.nonzero(apart <= _BITS)
            found.append(_Rows.of(first + start, second, apart[first, second], place))
        best = _Rows.closest(found)
    query, reference = np.array(PAIRS).T[:, best.views]
    return Candidates(best.first.astype(np.int64), best.second.astype(np.int64), query, reference)


@dataclass(frozen=True)
class _Rows:
    """Pairs that resemble each other, as few bytes each as will do; ``views`` are places in PAIRS."""

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    distance: NDArray[np.uint8]
    views: NDArray[np.uint8]

    @classmethod
    def none(cls) -> "_Rows":
        return cls(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.uint8), np.empty(0, np.uint8))

    @classmethod
    def of(
        cls, first: NDArray[np.int64], second: NDArray[np.int64], distance: NDArray[np.uint8], views: int
    ) -> "_Rows":
        """Those of one pair of views; an image does not resemble itself."""
        other = first != second
        count = int(other.sum())
        return cls(
            first[other].astype(np.int32),
            second[other].astype(np.int32),
            distance[other],
            np.full(count, views, np.uint8),
        )

    @classmethod
    def closest(cls, parts: "list[_Rows]") -> "_Rows":
        """Each pair once, whichever of its images comes first, in the earliest of the views that are closest."""
        columns = [np.concatenate([getattr(part, name) for part in parts]) for name in cls.__annotations__]
        first, second, distance, _ = columns
        pair = np.minimum(first, second).astype(np.int64) << 32 | np.maximum(first, second)
        order = np.argsort(distance, kind="stable")
        _, firsts = np.unique(pair[order], return_index=True)
        return cls(*(column[order[firsts]] for column in columns))
