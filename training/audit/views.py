"""The ways in which an image is looked at, so that a copy that was turned, mirrored or given a banner looks alike.

A view is a square cut out of an image: the whole of it, less its upper or lower edge, or the head alone; as it is, or
turned back by some angle. A copy and its original agree in some pair of views, and the two views say how one image
lies in the other.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# (3, 3): homogeneous coordinates (row, column, 1) to others. Rows and columns go from 0 to 1 over an image or a view.
Matrix = NDArray[np.float64]

_EDGE = 0.12  # share of the height that is cut off with a banner
_FOREGROUND = 0.2  # of the way from the darkest to the brightest grey level
_HEAD = (1.0, 99.0)  # percentiles of the head's pixels along each axis that bound it
_LEAST = 0.05  # of a view's height and width

WHOLE, NO_TOP, NO_BOTTOM, HEAD = "whole", "no top", "no bottom", "head"


@dataclass(frozen=True)
class View:
    """One way to look at an image: mirrored left to right or not, then turned by degrees, then cut."""

    kind: str
    mirrored: bool = False
    angle: float = 0.0


# A banner over an image goes with the edge of both; one beside it, with the edge of the longer image alone.
KINDS = ((WHOLE, WHOLE), (HEAD, HEAD), (NO_TOP, NO_TOP), (NO_BOTTOM, NO_BOTTOM), (NO_TOP, WHOLE), (NO_BOTTOM, WHOLE))
REFERENCES = tuple(View(kind) for kind in (WHOLE, HEAD, NO_TOP, NO_BOTTOM))
# Right angles come from exports, small ones from augmentation; those go with whole images and heads.
QUERIES = (
    *(View(view.kind, *turn) for view in REFERENCES for turn in product((False, True), (0, 90, 180, 270))),
    *(View(view.kind, *turn) for view in REFERENCES[:2] for turn in product((False, True), (-18, -12, -6, 6, 12, 18))),
)
# Which view of one image is compared with which of another: places in QUERIES and REFERENCES.
PAIRS = tuple(
    (query, reference)
    for (query, seen), (reference, other) in product(enumerate(QUERIES), enumerate(REFERENCES))
    if (seen.kind, other.kind) in KINDS
)


def head(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """Where the largest bright part of an image lies: (n, 2), or the whole image where nothing is bright.

    Args:
        grey: (side, side).
    """
    low, high = np.percentile(grey, (1, 99))
    parts, count = ndimage.label(grey > low + _FOREGROUND * (high - low))
    largest = 1 + np.argmax(np.bincount(parts.ravel())[1:]) if count else 0
    return np.argwhere(parts == largest) / (len(grey) - 1)


def matrix(view: View, points: NDArray[np.float64]) -> Matrix:
    """From the view to the image.

    Args:
        points: of the head, as ``head`` gives them.
    """
    turned = _turn(view)
    low, high = np.zeros(2), np.ones(2)
    if view.kind == HEAD:
        back = np.linalg.inv(turned)
        low, high = np.percentile(points @ back[:2, :2].T + back[:2, 2], _HEAD, axis=0)
    low[0] += _EDGE * (view.kind == NO_TOP)
    high[0] -= _EDGE * (view.kind == NO_BOTTOM)
    cut = np.diag([*np.maximum(high - low, _LEAST), 1.0])
    cut[:2, 2] = low
    return turned @ cut


def _turn(view: View) -> Matrix:
    """From the mirrored and turned image to the image, around its centre."""
    angle = np.deg2rad(view.angle)
    turn = np.eye(3)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn[1] *= -1 if view.mirrored else 1
    turn[:2, 2] = 0.5 - turn[:2, :2] @ (0.5, 0.5)
    return turn


def sample(grey: NDArray[np.float32], view: Matrix, side: int) -> NDArray[np.float32]:
    """The view as an image: float32 (side, side).

    Args:
        grey: the image, square.
    """
    pixels = view.copy()
    pixels[:2, :2] *= (len(grey) - 1) / (side - 1)
    pixels[:2, 2] *= len(grey) - 1
    return ndimage.affine_transform(
        grey, pixels[:2, :2], pixels[:2, 2], (side, side), order=1, mode="nearest", output=np.float32
    )
