"""From an image's bytes to its upright RGB pixels: every format, and no hostile file that takes much time or memory.

Pillow alone reduces 16-bit greyscale to a few levels, ignores EXIF orientation and transparency, and sets no limit on
what it decodes.
"""

import io
import math
import warnings
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})  # of image files
MAX_PIXELS = 4096 * 4096
MIN_SIDE = 16  # pixels; a smaller image shows nothing of a head
# A progressive JPEG is decoded once per scan, and Pillow joins the EXIF segments one by one. Cameras and encoders write
# about ten; a hostile file has thousands.
_MAX_JPEG_SEGMENTS = 100
_JPEG, _START_OF_SCAN, _EXIF_SEGMENT = b"\xff\xd8\xff", b"\xff\xda", b"\xff\xe1"
# TIFF 6.0, sections 3 and 15: the offsets of the strips; the width and length of the tiles.
_TIFF_STRIPS, _TIFF_TILE_SIDES = 273, (322, 323)
_MAX_TIFF_STRIPS = 1 << 16  # more than the rows of any real image
# Pillow decodes run-length compressed BMPs (RLE8, RLE4) in Python: seconds for a few MB.
_BMP_RUN_LENGTH = (1, 2)
# The first bytes of formats that Pillow does not recognise when the rest of the file is missing.
_BEGINNINGS = (_JPEG, b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
# Greyscale of more than 8 bits is windowed linearly between these percentiles, so that a few very bright pixels do not
# darken the whole scan.
_WINDOW_PERCENTILES = (0.5, 99.5)
_WINDOW_PIXELS = 1 << 20  # of a larger image only every second, third, ... row and column counts

# Odd EXIF or TIFF tags are no reason to refuse an image or to write to a service's log. The filter is set once for the
# whole process, because warnings.catch_warnings is not thread-safe.
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageError(ValueError):
    """An image that cannot be used. The message tells the sender what to do."""


class UnknownImageType(ImageError):
    """The bytes are not in one of ``FORMATS``."""


class BrokenImage(ImageError):
    """The bytes start like an image, but the image is truncated or corrupt."""


class ImageTooLarge(ImageError):
    """The image has more pixels than the limit."""


class UnusableImage(ImageError):
    """A valid image that shows nothing a model could classify."""


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an image to upright RGB: the first frame, with transparent parts over black.

    Raises:
        UnknownImageType: The format is not one of ``FORMATS``.
        ImageTooLarge: The image has more than ``max_pixels`` pixels, or its tiles have more than twice as many. This is
            detected before decoding.
        UnusableImage: A side is shorter than ``MIN_SIDE``, or no pixel is finite.
        BrokenImage: The image is truncated or corrupt.
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
    """Refuse an image that costs far more to decode than its size suggests."""
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
            # Whole tiles are decoded, and a tile can be far larger than its visible part.
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
    values = np.array(image, dtype=np.float32)  # changed in place: a copy of a large image costs much memory
    step = math.isqrt(values.size // _WINDOW_PIXELS) or 1
    sample = values[::step, ::step]
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        raise UnusableImage("The image has no finite pixel value.")
    # The nearest value, not an interpolated one: the difference of two extreme values overflows. Halves do not.
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
