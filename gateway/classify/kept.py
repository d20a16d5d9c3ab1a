"""What was prepared of one request's images, kept for a second model that is asked about them too.

An image is decoded once for both models. What all requests keep together is bounded: where there is no room, nothing
is kept, and whoever wants it does without.
"""

import threading
import weakref
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from brain_tumor.image import ImageError
from brain_tumor.metadata import ImageSpec
from brain_tumor.preprocess import Prepared, Preprocessor

MOST_BYTES = 32 << 20  # of all requests together; with 299 x 299 pixels that is 125 images


class ByteBudget:
    """So many bytes, which many threads share."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._lock = threading.RLock()  # what is forgotten gives back from anywhere
        self._free = most

    def take(self, size: int) -> bool:
        """Take so many bytes if they are free."""
        with self._lock:
            if size > self._free:
                return False
            self._free -= size
            return True

    def give_back(self, size: int) -> None:
        """Return bytes that were taken."""
        with self._lock:
            self._free += size


class HeldPixels:
    """Pixels that outlive their request; their bytes go back to the budget when they are released, or forgotten.

    Args:
        spec: How they were prepared.
        pixels: Arrays uint8 (1, height, width, 3), one for each image.
        budget: Where their bytes were taken.
        size: How many.

    Attributes:
        spec: The same.
        pixels: The same.
        release: To be called once they are not needed; any number of times.
    """

    def __init__(self, spec: ImageSpec, pixels: list[NDArray[np.uint8]], budget: ByteBudget, size: int) -> None:
        self.spec = spec
        self.pixels = pixels
        self.release = weakref.finalize(self, budget.give_back, size)
        self.release.atexit = False


class Kept:
    """What one request keeps; one thread uses it.

    Args:
        budget: Bounds what all requests keep.
        other: Prepares each image in a second way too; None for one way alone.
    """

    def __init__(self, budget: ByteBudget, other: Preprocessor | None = None) -> None:
        self._other = other
        self._budget = budget
        self._spec: ImageSpec | None = None
        self._images: dict[int, Prepared | ImageError] = {}
        self._bytes = 0

    def second_way(self, spec: ImageSpec) -> Preprocessor | None:
        """What prepares an image in the other way, where that is not this one."""
        return self._other if self._other and self._other.spec != spec else None

    def find(self, index: int, spec: ImageSpec) -> Prepared | ImageError | None:
        """What became of an image when it was prepared in this way; None if that is not known."""
        image = self._images.get(index)
        if spec == self._spec:
            return image
        # A view shows what the first way makes of the image.
        if self._is_other(spec) and isinstance(image, Prepared) and image.other is not None and image.view is None:
            return replace(image, batch=image.other, other=None)
        return None

    def add(self, index: int, spec: ImageSpec, image: Prepared | ImageError) -> None:
        """Keep what became of an image, if there is room."""
        if self._spec is not None and spec != self._spec and self._is_other(spec):
            return  # one that was not there in this way, while others are
        if spec != self._spec:  # the model has changed meanwhile
            self.release()
            self._spec = spec
        size = _size(image)
        if self._budget.take(size):
            self._bytes += size
            self._images[index] = image

    def hand_over(self, spec: ImageSpec, count: int) -> HeldPixels | None:
        """The pixels of all images that could be used; this object keeps them no longer.

        Args:
            spec: How they must be prepared.
            count: How many there must be.

        Returns:
            None if they are not all there.
        """
        found = [self._images[index] for index in sorted(self._images)]
        prepared = [image for image in found if isinstance(image, Prepared)]
        of_own = spec == self._spec
        pixels = [image.batch if of_own else image.other for image in prepared]
        complete = [array for array in pixels if array is not None]
        if len(complete) != count or not (of_own or self._is_other(spec)):
            return None
        size = sum(array.nbytes for array in complete)
        self._bytes -= size  # the rest goes back at once
        self.release()
        return HeldPixels(spec, complete, self._budget, size)

    def _is_other(self, spec: ImageSpec) -> bool:
        return self._other is not None and self._other.spec == spec

    def release(self) -> None:
        """Keep nothing any more."""
        self._budget.give_back(self._bytes)
        self._bytes, self._images = 0, {}


def _size(image: Prepared | ImageError) -> int:
    """Bytes of memory that an image takes, about."""
    if isinstance(image, ImageError):
        return 0
    view = 0 if image.view is None else 3 * image.view.width * image.view.height
    return image.batch.nbytes + (0 if image.other is None else image.other.nbytes) + view
