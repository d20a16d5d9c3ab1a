"""One synthetic patient: a head, perhaps a tumour, and a short series of slices that show it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.phantom.anatomy import Head
from training.phantom.lesions import KINDS, Lesion
from training.phantom.scanner import Scanner, Slice, mask

SLICES = 2  # a patient's images
_SMALLEST = 0.018  # area of a tumour in its slice, units of 10 cm squared: a disc of 15 mm
_COARSE = 64  # pixels a side, to measure that area
_MOST_TRIES = 100_000


@dataclass(frozen=True)
class ScannedSlice:
    """A slice and what it shows.

    Attributes:
        pixels: uint8 (size, size). mask: bool (size, size), the tumour; empty for notumor.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def scan(seed: int, patient: int, class_name: str, plane: str, size: int) -> list[ScannedSlice]:
    """The patient's images; the same arguments give the same pixels.

    Head, slices and scanner are drawn from a stream of their own, and so is the noise: another class changes the tumour
    and what it displaces, and nothing else. Tumours are drawn until one shows in these slices, so that where a head is
    cut says nothing of the class.
    """
    rng, lesion_rng, noise_rng = (np.random.default_rng([seed, patient, stream]) for stream in range(3))
    head, scanner, first = Head.draw(rng), Scanner.draw(rng), Slice.draw(rng, plane)
    gap = rng.uniform(0.03, 0.06)
    series = [first.next(gap * (index - (SLICES - 1) / 2)) for index in range(SLICES)]
    lesion = _lesion_in(series, head, class_name, lesion_rng)
    empty = np.zeros((size, size), np.bool_)
    return [
        ScannedSlice(
            scanner.image(head, lesion, cut, size, noise_rng),
            empty if lesion is None else mask(head, lesion, cut, size),
        )
        for cut in series
    ]


def _lesion_in(series: list[Slice], head: Head, class_name: str, rng: np.random.Generator) -> Lesion | None:
    kind = KINDS[class_name]
    if kind is None:
        return None
    for _ in range(_MOST_TRIES):
        lesion: Lesion = kind.draw(rng, head.noise)
        if all(_area(head, lesion, cut) >= _SMALLEST for cut in series):
            return lesion
    raise AssertionError(f"no {class_name} fits these slices")  # planes and places above exclude this


def _area(head: Head, lesion: Lesion, cut: Slice) -> float:
    return float(mask(head, lesion, cut, _COARSE).mean()) * cut.field_of_view**2
