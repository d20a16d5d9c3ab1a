"""The one preprocessing of training, converter and gateway: from an image's bytes to the uint8 pixels a model takes.

``Preprocessor`` extends keras_image_helper's. That class alone resizes by nearest neighbour only, and decodes whatever
it is given: see ``brain_tumor.image``.
"""

import numpy as np
from keras_image_helper.base import BasePreprocessor
from numpy.typing import NDArray
from PIL import Image

from brain_tumor.image import MAX_PIXELS, decode
from brain_tumor.metadata import ImageSpec


class Preprocessor(BasePreprocessor):
    """Turns images into uint8 batches of one size: 0..255, not scaled (the model's graph scales).

    Args:
        spec: The images that the model takes.
        max_pixels: An image with more pixels is refused before it is decoded.
    """

    def __init__(self, spec: ImageSpec, max_pixels: int = MAX_PIXELS) -> None:
        super().__init__(target_size=(spec.width, spec.height))
        self.spec = spec
        self.max_pixels = max_pixels

    def from_bytes(self, data: bytes) -> NDArray[np.uint8]:
        """Decode and resize an encoded image: uint8 (1, height, width, 3).

        Raises:
            ImageError: The image cannot be used; the subclass says why.
        """
        return self.convert_to_tensor(decode(data, self.max_pixels))

    def resize_image(self, img: Image.Image) -> Image.Image:
        """Resize an upright RGB image, as ``decode`` gives it."""
        return img.resize(self.target_size, Image.Resampling[self.spec.resampling.upper()])

    def image_to_array(self, img: Image.Image) -> NDArray[np.uint8]:
        """Convert an image to uint8 (height, width, 3)."""
        return np.asarray(img, dtype=np.uint8)

    def preprocess(self, X: NDArray[np.uint8]) -> NDArray[np.uint8]:  # noqa: N803 - keras_image_helper's name
        """Return the batch unchanged."""
        return X
