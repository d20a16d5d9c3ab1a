"""Work on a part of an image at a time: a whole one in another form costs as much memory again."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_PIXELS = 1 << 18


def strips(size: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """The boxes of so many whole rows, at least one: left, top, right, bottom."""
    width, height = size
    rows = max(1, _PIXELS // max(1, width))
    for top in range(0, height, rows):
        yield 0, top, width, min(top + rows, height)


def rows_of(values: NDArray[Any]) -> Iterator[slice]:
    """So many whole rows of an array at a time: (height, width) or (height, width, channel)."""
    for _, top, _, bottom in strips((values.shape[1], values.shape[0])):
        yield slice(top, bottom)


def array_of(image: Image.Image) -> NDArray[Any]:
    """The pixels as ``numpy.asarray`` gives them, which however makes two copies on its way."""
    whole: NDArray[Any] | None = None
    for box in strips(image.size):
        strip = np.asarray(image.crop(box))
        if whole is None:
            whole = np.empty((image.height, *strip.shape[1:]), strip.dtype)
        whole[box[1] : box[3]] = strip
    return np.asarray(image) if whole is None else whole
