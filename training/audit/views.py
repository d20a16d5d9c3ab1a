"""The views of an image, so that a copy still looks alike after it was turned, mirrored or given a banner.

A view is a square cut out of an image: the whole image, the image without its upper or lower edge, or the head alone;
either as it is, or mirrored and turned. A copy and its original look alike in some pair of views, and these two views
also say how one image must be moved to lie on the other.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# (3, 3): maps homogeneous coordinates (row, column, 1). Rows and columns go from 0 to 1 over an image or a view.
Matrix = NDArray[np.float64]

_EDGE = 0.12  # share of the height that is cut off, with a banner in it
_FOREGROUND = 0.2  # threshold of the foreground, between the darkest (0) and the brightest (1) grey level
_HEAD = (1.0, 99.0)  # percentiles of the head's pixels along each axis; they are the bounds of the head
_MIN_SIZE = 0.05  # of a view's height and width

WHOLE, NO_TOP, NO_BOTTOM, HEAD = "whole", "no top", "no bottom", "head"


@dataclass(frozen=True)
class View:
    """One way to look at an image.

    Attributes:
        kind: The part of the image: WHOLE, NO_TOP, NO_BOTTOM or HEAD.
        mirrored: Whether the image is mirrored left to right first.
        angle: By how many degrees it is turned then.
    """

    kind: str
    mirrored: bool = False
    angle: float = 0.0


# The kinds of views that are compared. A banner over an image disappears with the edges of both images; a banner beside
# an image disappears with the edge of the longer image alone.
KINDS = ((WHOLE, WHOLE), (HEAD, HEAD), (NO_TOP, NO_TOP), (NO_BOTTOM, NO_BOTTOM), (NO_TOP, WHOLE), (NO_BOTTOM, WHOLE))
REFERENCES = tuple(View(kind) for kind in (WHOLE, HEAD, NO_TOP, NO_BOTTOM))
# Exports turn images by right angles, augmentation by small angles; the latter keeps the whole image.
QUERIES = (
    *(View(view.kind, *turn) for view in REFERENCES for turn in product((False, True), (0, 90, 180, 270))),
    *(View(view.kind, *turn) for view in REFERENCES[:2] for turn in product((False, True), (-18, -12, -6, 6, 12, 18))),
)
# Which view of one image is compared with which view of another: indices into QUERIES and REFERENCES.
PAIRS = tuple(
    (query, reference)
    for (query, query_view), (reference, reference_view) in product(enumerate(QUERIES), enumerate(REFERENCES))
    if (query_view.kind, reference_view.kind) in KINDS
)


def head(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """The points of an image's largest bright part, or of the whole image where nothing is bright.

    Args:
        grey: The image: float32 (side, side).

    Returns:
        Coordinates from 0 to 1: float64 (n, 2).
    """
    low, high = np.percentile(grey, (1, 99))
    parts, count = ndimage.label(grey > low + _FOREGROUND * (high - low))
    largest = 1 + np.argmax(np.bincount(parts.ravel())[1:]) if count else 0
    return np.argwhere(parts == largest) / (len(grey) - 1)


def matrix(view: View, points: NDArray[np.float64]) -> Matrix:
    """The matrix that maps coordinates of a view to coordinates of the image.

    Args:
        view: The view.
        points: The points of the head, as ``head`` returns them.
    """
    turned = _turn(view)
    low, high = np.zeros(2), np.ones(2)
    if view.kind == HEAD:
        back = np.linalg.inv(turned)
        low, high = np.percentile(points @ back[:2, :2].T + back[:2, 2], _HEAD, axis=0)
    low[0] += _EDGE * (view.kind == NO_TOP)
    high[0] -= _EDGE * (view.kind == NO_BOTTOM)
    cut = np.diag([*np.maximum(high - low, _MIN_SIZE), 1.0])
    cut[:2, 2] = low
    return turned @ cut


def _turn(view: View) -> Matrix:
    """The matrix that maps the mirrored and turned image to the image, around its centre."""
    angle = np.deg2rad(view.angle)
    turn = np.eye(3)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn[1] *= -1 if view.mirrored else 1
    turn[:2, 2] = 0.5 - turn[:2, :2] @ (0.5, 0.5)
    return turn


def sample(grey: NDArray[np.float32], to_image: Matrix, side: int) -> NDArray[np.float32]:
    """Sample a view as an image: float32 (side, side).

    Args:
        grey: The whole image, square.
        to_image: The view's matrix.
        side: Pixels a side of the result.
    """
    pixels = to_image.copy()
    pixels[:2, :2] *= (len(grey) - 1) / (side - 1)
    pixels[:2, 2] *= len(grey) - 1
    return ndimage.affine_transform(
        grey, pixels[:2, :2], pixels[:2, 2], (side, side), order=1, mode="nearest", output=np.float32
    )
