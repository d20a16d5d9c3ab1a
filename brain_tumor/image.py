"""An image's bytes to the uint8 pixels a model takes: the one preprocessing of training, converter and gateway.

``Preprocessor`` extends keras_image_helper's, which by itself drops 16-bit greyscale to a few levels, ignores
EXIF orientation and transparency, resizes by nearest neighbour only, and puts no bound on what it decodes.
"""

import io
import math
import warnings
from typing import Any

import numpy as np
from keras_image_helper.base import BasePreprocessor
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})  # of files in a folder
MAX_PIXELS = 4096 * 4096
MIN_SIDE = 16  # pixels; nothing of a head can be seen in less
# A progressive JPEG decodes once per scan, and Pillow joins the EXIF segments one by one: cameras and encoders write
# about ten, a hostile file thousands.
_MAX_JPEG_SEGMENTS = 100
_JPEG, _START_OF_SCAN, _EXIF_SEGMENT = b"\xff\xd8\xff", b"\xff\xda", b"\xff\xe1"
# TIFF 6.0, sections 3 and 15: where the strips lie; the tiles' width and length.
_TIFF_STRIPS, _TIFF_TILE_SIDES = 273, (322, 323)
_MAX_TIFF_STRIPS = 1 << 16  # more than rows of the tallest image that people make
# Pillow decodes run-length compressed BMPs (RLE8, RLE4) in Python: seconds for a few MB.
_BMP_RUN_LENGTH = (1, 2)
# How a file of these formats begins that Pillow does not recognise for want of the rest.
_BEGINNINGS = (_JPEG, b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
# Greyscale of more than 8 bits is windowed linearly between these percentiles, so that a few hot pixels do not
# darken the whole scan.
_WINDOW_PERCENTILES = (0.5, 99.5)
_WINDOW_PIXELS = 1 << 20  # of a larger image every second, third, ... pixel of a row and column is counted

# Odd EXIF or TIFF tags are no reason to refuse an image, nor to write to the log of a service. Set once for the
# process: warnings.catch_warnings is not safe between threads.
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageError(ValueError):
    """An image that cannot be used; the message tells its sender what to do."""


class UnknownImageType(ImageError):
    """The bytes are none of ``FORMATS``."""


class BrokenImage(ImageError):
    """The bytes start as an image and do not hold one: truncated or corrupt."""


class ImageTooLarge(ImageError):
    """The image has more pixels than the limit."""


class UnusableImage(ImageError):
    """A sound image that shows nothing a model could classify."""


class Preprocessor(BasePreprocessor):
    """Images to uint8 batches of one size: RGB, 0..255, unscaled (scaling lives in the model's graph).

    Args:
        height, width: of the result, in pixels.
        resampling: the name of a Pillow filter, lower case, as model metadata gives it; Pillow's filters antialias.
        max_pixels: a larger image is refused before it is decoded.
    """

    def __init__(self, height: int, width: int, resampling: str = "bilinear", max_pixels: int = MAX_PIXELS) -> None:
        super().__init__(target_size=(width, height))
        self.resampling = Image.Resampling[resampling.upper()]
        self.max_pixels = max_pixels

    def from_bytes(self, data: bytes) -> NDArray[np.uint8]:
        """Decode and resize an encoded image: uint8 (1, height, width, 3).

        Raises:
            ImageError: by its subclass, why the image cannot be used.
        """
        return self.convert_to_tensor(decode(data, self.max_pixels))

    def resize_image(self, img: Image.Image) -> Image.Image:
        """Resize an upright RGB image, as ``decode`` gives it."""
        return img.resize(self.target_size, self.resampling)

    def image_to_array(self, img: Image.Image) -> NDArray[np.uint8]:
        """uint8 (height, width, 3)."""
        return np.asarray(img, dtype=np.uint8)

    def preprocess(self, X: NDArray[np.uint8]) -> NDArray[np.uint8]:  # noqa: N803 - keras_image_helper's name
        """The batch as it is."""
        return X


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an encoded image to an upright RGB one: first frame, transparency over black.

    Raises:
        UnknownImageType: not one of ``FORMATS``.
        ImageTooLarge: more than ``max_pixels`` pixels, or twice as many in its tiles (found before decoding).
        UnusableImage: a side shorter than ``MIN_SIDE``, or no finite pixel.
        BrokenImage: truncated or corrupt.
    """
    if data.startswith(_JPEG) and data.count(_EXIF_SEGMENT) > _MAX_JPEG_SEGMENTS:
        raise _broken()
    try:
        image = Image.open(io.BytesIO(data), formats=list(FORMATS))
    except UnidentifiedImageError as error:
        if data.startswith(_BEGINNINGS):
            raise _broken() from error
        raise UnknownImageType(f"The content is not an image. Send one of: {', '.join(FORMATS)}.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(max_pixels) from None
    except Exception as error:
        raise _broken() from error
    width, height = image.size
    if width * height > max_pixels:
        raise _too_large(max_pixels)
    if min(width, height) < MIN_SIDE:
        raise UnusableImage(f"The image is {width}x{height} pixels. Send one of at least {MIN_SIDE}x{MIN_SIDE}.")
    try:
        _require_cheap(image, data, max_pixels)
        image.load()
        return _to_rgb(_upright(image))
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, ...
        raise _broken() from error


def _require_cheap(image: Any, data: bytes, max_pixels: int) -> None:
    """Refuse what costs far more to decode than its size tells."""
    if image.format in ("JPEG", "MPO") and data.count(_START_OF_SCAN) > _MAX_JPEG_SEGMENTS:
        raise _broken()
    if image.format == "BMP" and image.info.get("compression") in _BMP_RUN_LENGTH:
        raise UnknownImageType("This BMP is run-length compressed. Save it without compression, or as PNG.")
    if image.format == "TIFF":
        strips = image.tag_v2.get(_TIFF_STRIPS, ())
        if isinstance(strips, tuple) and len(strips) > _MAX_TIFF_STRIPS:
            raise _broken()
        tile_width, tile_height = (int(image.tag_v2.get(tag, 0)) for tag in _TIFF_TILE_SIDES)
        if tile_width > 0 and tile_height > 0:
            # Whole tiles are decoded, and a tile may be far larger than what shows of it.
            across, down = -(-image.width // tile_width), -(-image.height // tile_height)
            if across * tile_width * down * tile_height > 2 * max_pixels:
                raise _too_large(max_pixels)


def _too_large(max_pixels: int) -> ImageTooLarge:
    return ImageTooLarge(f"The image has more than {max_pixels:,} pixels. Send a smaller one.")


def _broken() -> BrokenImage:
    return BrokenImage("The image is damaged or incomplete. Export it again and send the whole file.")


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a damaged EXIF block says nothing about orientation
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = _window(image)
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        over_black = Image.new("RGB", image.size)
        over_black.paste(image, mask=image.getchannel("A"))
        image = over_black
    return image if image.mode == "RGB" else image.convert("RGB")


def _window(image: Image.Image) -> Image.Image:
    values = np.array(image, dtype=np.float32)  # worked on in place: a large image takes a good part of the memory
    step = math.isqrt(values.size // _WINDOW_PIXELS) or 1
    sample = values[::step, ::step]
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        raise UnusableImage("The image has no finite pixel value.")
    # The nearest value, not one in between: differences of extreme values overflow, as their halves do not.
    low, high = np.percentile(sample, _WINDOW_PERCENTILES, method="nearest")
    if high <= low:  # a few bright pixels on a flat ground
        low, high = (
            np.min(values, where=np.isfinite(values), initial=low),
            np.max(values, where=np.isfinite(values), initial=high),
        )
    span = high / 2 - low / 2
    if span == 0:
        return Image.new("L", image.size)
    np.nan_to_num(values, copy=False, nan=low, posinf=low, neginf=low)
    np.clip(values, low, high, out=values)
    values /= 2
    values -= low / 2
    values /= span
    values *= 255
    return Image.fromarray(np.rint(values, out=values).astype(np.uint8))
