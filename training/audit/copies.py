"""Finds the pairs of images that show the same: equal files, equal pixels, and near copies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.audit.alignment import MIN_AGREEMENT, agreement
from training.audit.candidates import candidates
from training.audit.fingerprints import Fingerprint

SAME_FILE, SAME_PIXELS, NEAR = "same file", "same pixels", "near"  # kinds of copies


@dataclass(frozen=True)
class Copy:
    """Two images that show the same.

    Attributes:
        first: Index of the first image in the list of files.
        second: Index of the second image, larger than ``first``.
        kind: SAME_FILE, SAME_PIXELS or NEAR.
        agreement: How well the aligned images agree; 1 where the pixels are equal.
    """

    first: int
    second: int
    kind: str
    agreement: float


def find_copies(images: Sequence[Fingerprint]) -> list[Copy]:
    """Find the pairs of images that show the same, sorted.

    Of several equal images, each is paired with the first of them only.
    """
    equal = [
        *_equal([image.file_hash for image in images], SAME_FILE),
        *_equal([image.pixel_hash for image in images], SAME_PIXELS),
    ]
    by_second = {copy.second: copy for copy in reversed(equal)}  # the same file goes before the same pixels
    distinct = np.array([index for index in range(len(images)) if index not in by_second])
    near = _near([images[index] for index in distinct], distinct)
    return sorted([*by_second.values(), *near], key=lambda copy: (copy.first, copy.second))


def _equal(hashes: Sequence[str], kind: str) -> Iterator[Copy]:
    """Pair every image with the first image that has the same hash."""
    firsts: dict[str, int] = {}
    for index, content in enumerate(hashes):
        if firsts.setdefault(content, index) != index:
            yield Copy(firsts[content], index, kind, 1.0)


def _near(images: Sequence[Fingerprint], indices: NDArray[np.int64]) -> list[Copy]:
    """Pair the images that agree once one is aligned with the other.

    Args:
        images: Images with different pixels.
        indices: The index of each of them in the list of files: int64 (n,).
    """
    queries, references = [image.queries for image in images], [image.references for image in images]
    pairs = candidates(np.stack([views.hashes for views in queries]), np.stack([views.hashes for views in references]))
    from_query = np.stack([views.matrices for views in queries])[pairs.first, pairs.query]
    from_reference = np.stack([views.matrices for views in references])[pairs.second, pairs.reference]
    second_to_first = from_query @ np.linalg.inv(from_reference)
    agreements = agreement(pairs, np.stack([image.thumbnail for image in images]), second_to_first)
    files = np.sort(indices[np.stack([pairs.first, pairs.second], axis=1)], axis=1).tolist()
    return [
        Copy(first, second, NEAR, round(value, 4))
        for (first, second), value in zip(files, agreements.tolist(), strict=True)
        if value >= MIN_AGREEMENT
    ]
