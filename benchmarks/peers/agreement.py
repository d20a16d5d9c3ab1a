"""Whether the servers compute the same: only then do their times compare."""

from collections.abc import Sequence
from dataclasses import dataclass

TOLERANCE = 1e-4  # in probability, as the converter's


@dataclass(frozen=True)
class Agreement:
    """How far a server's probabilities are from the classic form's.

    Attributes:
        difference: The largest of any class of any image.
        same_class: How many of the images have the same most probable class.
        images: Their count.
        exact: Whether the difference must lie within the tolerance.
    """

    difference: float
    same_class: int
    images: int
    exact: bool = True

    @property
    def holds(self) -> bool:
        """Whether its times may be compared with the classic form's."""
        return not self.exact or self.difference <= TOLERANCE

    def __str__(self) -> str:
        text = f"largest difference in probability {self.difference:.1e}"
        if self.difference <= TOLERANCE:
            return text
        text += f", the same class for {self.same_class} of {self.images} images"
        return text if self.holds else f"{text}: it computes something else, so no ratios"


def compare(expected: Sequence[Sequence[float]], found: Sequence[Sequence[float]], exact: bool = True) -> Agreement:
    """Compare the probabilities of the same images.

    Args:
        expected: The classic form's, a row for each image.
        found: The other server's.
        exact: As in ``Agreement``.

    Raises:
        ValueError: The shapes differ, or something is no probability.
    """
    rows = list(zip(expected, found, strict=True))
    pairs = [pair for row in rows for pair in zip(*row, strict=True)]
    if not pairs or not all(0 <= number <= 1 for pair in pairs for number in pair):  # NaN is no probability either
        raise ValueError("the response has no probabilities")
    same = sum(
        max(range(len(one)), key=one.__getitem__) == max(range(len(two)), key=two.__getitem__) for one, two in rows
    )
    return Agreement(max(abs(one - two) for one, two in pairs), same, len(rows), exact)
