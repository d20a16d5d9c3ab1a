"""The one preprocessing of training, converter and gateway: from an image's bytes to the uint8 pixels a model takes.

``Preprocessor`` extends keras_image_helper's. That class alone resizes by nearest neighbour only, and decodes whatever
it is given: see ``brain_tumor.image``.
"""

import math
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from keras_image_helper.base import BasePreprocessor
from numpy.typing import NDArray
from PIL import Image

from brain_tumor.image import MAX_PIXELS, FileFacts, Wanted, read_image
from brain_tumor.metadata import BGR, GRAYSCALE, NO_ANTIALIAS, ImageSpec

# How much larger than the model's input half a JPEG must be, so that its pixels there differ by one grey level at most
# (below JPEG quality 75, a pixel in a thousand by two). Other filters take single pixels, or split them.
_HALF_IS_ENOUGH = {"bilinear": 8, "bicubic": 10, "lanczos": 10, "hamming": 12}


@dataclass(frozen=True)
class Prepared:
    """An image as the model takes it, and as people see it.

    Attributes:
        batch: uint8 (1, height, width, 3).
        view: What the model sees of the image, made smaller; None if it was not asked for.
        facts: What the image's file says of it.
        size: Pixels of the longer side, before anything was made of the image.
        other: The batch that another preprocessor makes of the image; None if it was not asked for, or needs more
            pixels than were read.
    """

    batch: NDArray[np.uint8]
    view: Image.Image | None
    facts: FileFacts
    size: int
    other: NDArray[np.uint8] | None = None


class Preprocessor(BasePreprocessor):
    """Turns images into uint8 batches of one size: 0..255, not scaled (the model's graph scales).

    The steps have the order of the libraries and notebooks that train models: crop to the head, change the colour mode,
    resize, pad. The scripts that crop write a data set's files anew, before anything else. ``load_img`` and
    ``image_dataset_from_directory`` decode to grey and then resize, and the latter pads what it has resized; so even a
    very elongated image takes no more memory than its own pixels.

    Args:
        spec: The images that the model takes.
        max_pixels: Largest count of pixels in memory. An image with more is refused before it is decoded; but a
            sequential JPEG may have four times as many where half its width and height give the same input.
    """

    def __init__(self, spec: ImageSpec, max_pixels: int = MAX_PIXELS) -> None:
        super().__init__(target_size=(spec.width, spec.height))
        self.spec = spec
        self.max_pixels = max_pixels
        ratio = _HALF_IS_ENOUGH.get(spec.resampling)
        self._half_side = ratio * max(spec.width, spec.height) if ratio and not spec.crop_to_head else None

    def from_bytes(self, data: bytes, page: int | None = None) -> NDArray[np.uint8]:
        """Decode and prepare an encoded image: uint8 (1, height, width, 3).

        Args:
            data: The file.
            page: Which image of a file with several; 1 is the first, None the one that its format shows first.

        Raises:
            ImageError: The image cannot be used; the subclass says why.
        """
        return self.prepare(data, page).batch

    def prepare(
        self,
        data: bytes,
        page: int | None = None,
        *,
        view_side: int | None = None,
        wanted: Wanted = Wanted(),  # noqa: B008 - it cannot change
        other: "Preprocessor | None" = None,
    ) -> Prepared:
        """Decode and prepare an encoded image, and keep a view of it.

        Args:
            data: The file.
            page: As in ``from_bytes``.
            view_side: Pixels of the view's longer side, at most; None for no view.
            wanted: As in ``brain_tumor.image.read_image``.
            other: Makes a batch of the same pixels, which are decoded once.

        Raises:
            ImageError: The image cannot be used; the subclass says why.
        """
        decoded = read_image(
            data,
            self.max_pixels,
            page,
            half_side=self._half_side,
            keep_grey=not self.spec.crop_to_head,
            wanted=wanted,
        )
        size = max(decoded.image.size)
        image = self._cropped(decoded.image)
        batch = self._batch(image)
        second = other.of_decoded(decoded.image, self) if other else None
        if view_side is None:
            return Prepared(batch, None, decoded.facts, size, second)
        view = self._framed(image)
        view.thumbnail((view_side, view_side))
        return Prepared(batch, view.convert("RGB"), decoded.facts, size, second)

    def of_decoded(self, image: Image.Image, reader: "Preprocessor") -> NDArray[np.uint8] | None:
        """Prepare an image that another preprocessor has read: uint8 (1, height, width, 3).

        Args:
            image: Upright RGB, or one channel of grey.
            reader: Who has read it.

        Returns:
            None if that fails, or if the reader may have read only half of a JPEG's width and height, and that is too
            little here.
        """
        half, own_half = reader._half_side, self._half_side
        takes_less = half is not None and (own_half is None or own_half > half)
        if takes_less and 4 * image.width * image.height > reader.max_pixels:
            return None
        try:
            if self.spec.crop_to_head and image.mode != "RGB":
                image = image.convert("RGB")
            return self._batch(self._cropped(image))
        except Exception:  # which is no reason for the reader to have no image
            return None

    def from_path(self, path: str | PathLike[str]) -> NDArray[np.uint8]:
        """Read, decode and prepare an image: uint8 (1, height, width, 3).

        Raises:
            OSError: The file cannot be read.
            ImageError: The image cannot be used; the subclass says why.
        """
        return self.from_bytes(Path(path).read_bytes())

    def framed(self, image: Image.Image) -> Image.Image:
        """What the model sees of an upright RGB image, in the image's own resolution: cropped, and padded with black.

        A padded image of more than ``max_pixels`` pixels is scaled down to as many.
        """
        return self._framed(self._cropped(image))

    def _framed(self, image: Image.Image) -> Image.Image:
        if not self.spec.pad_to_aspect_ratio:
            return image
        size, corner = _fit(image.size, self.target_size)
        scale = min(image.width / size[0], math.sqrt(self.max_pixels / math.prod(self.target_size)))
        width, height, left, top, *frame = (round(scale * side) for side in (*size, *corner, *self.target_size))
        content = image.resize((max(1, width), max(1, height)), Image.Resampling.BILINEAR)
        return _on_black(content, (left, top), (max(1, frame[0]), max(1, frame[1])))

    def resize_image(self, img: Image.Image) -> Image.Image:
        """Prepare an upright RGB image, as ``decode`` gives it: RGB, or one channel for grey."""
        return self._resized_and_padded(self._cropped(img))

    def _batch(self, image: Image.Image) -> NDArray[np.uint8]:
        return np.expand_dims(self.image_to_array(self._resized_and_padded(image)), axis=0)

    def _resized_and_padded(self, img: Image.Image) -> Image.Image:
        if self.spec.color_mode == GRAYSCALE:
            img = img.convert("L")
        if not self.spec.pad_to_aspect_ratio:
            return self._resized(img, self.target_size)
        size, corner = _fit(img.size, self.target_size)
        return _on_black(self._resized(img, size), corner, self.target_size)

    def image_to_array(self, img: Image.Image) -> NDArray[np.uint8]:
        """Convert what ``resize_image`` gives to uint8 (height, width, 3)."""
        if img.mode != "RGB":
            return np.asarray(img.convert("RGB"))
        pixels = np.asarray(img)
        return np.ascontiguousarray(pixels[..., ::-1]) if self.spec.color_mode == BGR else pixels

    def preprocess(self, X: NDArray[np.uint8]) -> NDArray[np.uint8]:  # noqa: N803 - keras_image_helper's name
        """Return the batch unchanged."""
        return X

    def _cropped(self, image: Image.Image) -> Image.Image:
        if not self.spec.crop_to_head:
            return image
        from brain_tumor import opencv

        box = opencv.head_box(image)
        return image.crop(box) if box else image

    def _resized(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        if self.spec.resampling != NO_ANTIALIAS:
            return image.resize(size, Image.Resampling[self.spec.resampling.upper()])
        from brain_tumor import opencv

        return opencv.resize(image, size)


def _fit(image: tuple[int, int], frame: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The size of an image that is scaled to fit into a frame, and where its corner then is; all (width, height).

    The numbers are float32, and rounded down, as in ``tf.image.resize_with_pad``: another rounding moves edges by a
    pixel.
    """
    sides, available = np.array(image, np.float32), np.array(frame, np.float32)
    fitted = sides / (sides / available).max()
    (width, height), (left, top) = np.floor(fitted).astype(int), np.floor((available - fitted) / 2).astype(int)
    return (max(1, int(width)), max(1, int(height))), (max(0, int(left)), max(0, int(top)))


def _on_black(image: Image.Image, corner: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    padded = Image.new(image.mode, size)
    padded.paste(image, corner)
    return padded
