"""What OpenCV does to images, for models that were trained on images that OpenCV, or a library like it, prepared.

Only a model that needs it imports this module: OpenCV takes a tenth of a second and tens of megabytes.
"""

import cv2
import numpy as np
from PIL import Image

# Of grey levels 0..255. With it, the blur and the opening below, it is how the preparation scripts of the Kaggle brain
# tumour sets and many notebooks find the head, so that a model trained behind them sees the same part of an image.
_HEAD = 45
_OPENING = 2  # erosions, then dilations, by a pixel each: they remove what is thinner than 5 pixels
_NEIGHBOURS = np.ones((3, 3), np.uint8)

cv2.setNumThreads(1)  # the caller decides how many images are prepared at a time


def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize to (width, height) bilinearly, without antialiasing: within a grey level of ``tf.image.resize``."""
    return Image.fromarray(cv2.resize(np.asarray(image), size, interpolation=cv2.INTER_LINEAR))


def head_box(image: Image.Image) -> tuple[int, int, int, int] | None:
    """Where the head is in an upright RGB image: the box around the largest bright contour.

    The box is a pixel short of the contour at the right and the bottom, as in the scripts that models were trained
    with: they take the contour's last column and row as exclusive bounds.

    Returns:
        Left, top, right and bottom in pixels, the last two exclusive; None if nothing bright is large enough.
    """
    mask = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2GRAY)
    mask = cv2.GaussianBlur(mask, (3, 3), 0)
    _, mask = cv2.threshold(mask, _HEAD, 255, cv2.THRESH_BINARY)
    mask = cv2.erode(mask, _NEIGHBOURS, iterations=_OPENING)
    mask = cv2.dilate(mask, _NEIGHBOURS, iterations=_OPENING)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return None
    left, top, width, height = cv2.boundingRect(max(contours, key=cv2.contourArea))
    return left, top, left + width - 1, top + height - 1  # never empty: the dilations leave 3 pixels, even in a corner
