"""How far the last images are from those that a model was validated on: the population stability index.

The index of two histograms with the shares p and q is the sum of (p - q) ln(p / q) over their bins. Below 0.1 it is
usually taken for no change, from 0.25 for a large one (N. Siddiqi: Credit Risk Scorecards. Wiley, 2006).

Two samples of one population differ as well. With n and N values in k bins, their index divided by (1/n + 1/N) is
distributed about as chi-square with k - 1 degrees of freedom (B. Yurdakul: Statistical Properties of Population
Stability Index. Dissertation, Western Michigan University, 2018). So the mean of that is taken off here. What is left
scatters by sqrt(2 (k - 1)) (1/n + 1/N): with ten bins and a thousand reference images, 0.025 for 200 images and 0.006
for 2,000. Large changes are found in the last 200 images, therefore, and small ones in the last 2,000.
"""

import math
from collections.abc import Iterator, Sequence

WINDOWS = SHORT, LONG = 200, 2000  # images
# What to take for drift, by the window. A short window exceeds the lower bound by chance, now and then.
BOUNDS = {SHORT: 0.25, LONG: 0.1}
_HALF = 0.5  # stands for no image in a bin, whose logarithm there is not


def stability_index(live: Sequence[int], reference: Sequence[int]) -> float:
    """The population stability index, less what chance alone brings; at least 0.

    Args:
        live: Counts of images in the bins, not all of them 0.
        reference: Counts of the reference images in the same bins, not all of them 0.
    """
    n_live, n_reference = sum(live), sum(reference)
    used = [counts for counts in zip(live, reference, strict=True) if any(counts)]
    index = 0.0
    for in_live, in_reference in used:
        p, q = max(in_live, _HALF) / n_live, max(in_reference, _HALF) / n_reference
        index += (p - q) * math.log(p / q)
    by_chance = (len(used) - 1) * (1 / n_live + 1 / n_reference)
    return max(0.0, index - by_chance)


class Windows:
    """The last values of one feature, counted in bins: the last 200, and the last 2,000.

    Args:
        reference: Counts of the reference images, at most 256.
    """

    def __init__(self, reference: Sequence[int]) -> None:
        self._reference = reference
        self._last = bytearray(LONG)  # a bin each; a ring
        self._seen = 0
        self._counts = {length: [0] * len(reference) for length in WINDOWS}

    def add(self, index: int) -> None:
        """Take the bin of one more value."""
        for length, counts in self._counts.items():
            counts[index] += 1
            if self._seen >= length:
                counts[self._last[(self._seen - length) % LONG]] -= 1
        self._last[self._seen % LONG] = index
        self._seen += 1

    def indices(self) -> Iterator[tuple[int, float]]:
        """The length of each window that is full, and the stability index of what it holds."""
        for length, counts in self._counts.items():
            if self._seen >= length:
                yield length, stability_index(counts, self._reference)
