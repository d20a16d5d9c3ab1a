"""One synthetic patient: a head, a tumour or none, and a short series of slices."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.phantom.anatomy import Head
from training.phantom.lesions import KINDS, Lesion
from training.phantom.scanner import Scanner, Slice, mask

SLICES = 2  # images of each patient
_MIN_AREA = 0.018  # of a tumour in its slice, in units of (10 cm)^2: a disc of 15 mm
_AREA_SIDE = 64  # pixels a side of the mask that this area is measured on
_MAX_TRIES = 100_000


@dataclass(frozen=True)
class ScannedSlice:
    """An image of a slice, and where its tumour is.

    Attributes:
        pixels: uint8 (size, size).
        mask: Whether a pixel shows the tumour, never for notumor: bool (size, size).
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def scan(seed: int, patient: int, class_name: str, plane: str, size: int) -> list[ScannedSlice]:
    """Scan a patient; the same arguments give the same pixels.

    Head, slices and scanner have one random stream, the tumour and the noise have one each. So another class changes
    the tumour and the tissue that it displaces, and nothing else. Tumours are drawn until one is visible in these
    slices, so that the position of a slice is independent of the class.

    Args:
        seed: The data set's seed.
        patient: The patient's number.
        class_name: The class that the images show.
        plane: The plane that is cut.
        size: Side of the images, in pixels.
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
    for _ in range(_MAX_TRIES):
        lesion: Lesion = kind.draw(rng, head.noise)
        if all(_area(head, lesion, cut) >= _MIN_AREA for cut in series):
            return lesion
    raise AssertionError(f"no {class_name} fits these slices")  # the planes and the tumours' places exclude this


def _area(head: Head, lesion: Lesion, cut: Slice) -> float:
    return float(mask(head, lesion, cut, _AREA_SIDE).mean()) * cut.field_of_view**2
