"""Decodes a file of any format: checks its size first, then takes the format's own way to upright RGB."""

import io
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from brain_tumor.image import formats, jpeg, png, tiff, tiff_samples
from brain_tumor.image.apart import Apart, Wanted, decode_apart
from brain_tumor.image.decoded import Decoded, Dicom, FileFacts, Window
from brain_tumor.image.errors import (
    ImageError,
    NoSuchPage,
    UnknownImageType,
    UnusableImage,
    broken,
    no_such_page,
    too_large,
    unsupported,
)
from brain_tumor.image.formats import file_format
from brain_tumor.image.strips import array_of, strips
from brain_tumor.image.window import window

MAX_PIXELS = 4096 * 4096
MIN_SIDE = 16  # pixels; a smaller image shows nothing of a head
# Decoding a frame of an animation needs all frames before it.
_PIXELS_BEFORE_A_FRAME = 8
# Pillow decodes run-length compressed BMPs (RLE8, RLE4) in Python: seconds for a few MB.
_BMP_RUN_LENGTH = (1, 2)
_ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Odd EXIF or TIFF tags are no reason to refuse an image or to write to a service's log. The filter is set once for the
# whole process, because warnings.catch_warnings is not thread-safe.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode(data: bytes, max_pixels: int = MAX_PIXELS, page: int | None = None) -> Image.Image:
    """Decode an image to upright RGB; ``read_image`` says how, and what else it can do.

    Raises:
        ImageError: The image cannot be used; the subclass says why.
    """
    return read_image(data, max_pixels, page).image


def read_image(
    data: bytes,
    max_pixels: int = MAX_PIXELS,
    page: int | None = None,
    *,
    half_side: int | None = None,
    keep_grey: bool = False,
    wanted: Wanted = Wanted(),  # noqa: B008 - it cannot change
) -> Decoded:
    """Decode an image to upright RGB, with transparent parts over black and more than 8 bits windowed to 8.

    Args:
        data: The file.
        max_pixels: Largest count of pixels that are held in memory.
        page: Which image of a TIFF with several, of an animation or a sequence, or which frame of a DICOM file; 1 is
            the first. None means the one that the format shows first, of a DICOM file the middle one.
        half_side: Of a sequential JPEG with more than ``max_pixels``, half the width and height are enough, if each is
            at least this. None means that they are never enough.
        keep_grey: Leave an image with one channel as that (mode L): a third of the work for what comes after.
        wanted: For how long the image is wanted; it ends the process that decodes a rare format, with some error.

    Raises:
        UnknownImageType: The format is not one of ``FORMATS``, or it is a kind of such a format that nothing decodes.
        ImageTooLarge: The image has more than ``max_pixels`` pixels, or its tiles have more than twice as many. This is
            detected before decoding.
        UnusableImage: A side is shorter than ``MIN_SIDE``, or no pixel is finite.
        NoSuchPage: There is no such page, or the frames before it have too many pixels.
        BrokenImage: The image is truncated or corrupt.
    """
    if page is not None and page < 1:
        raise NoSuchPage("Pages count from 1.")
    try:
        decoded = _decoded(data, max_pixels, page, half_side, wanted)
        if decoded.image.mode == "RGB" or keep_grey:
            return decoded
        return replace(decoded, image=decoded.image.convert("RGB"))
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, ...
        raise broken() from error


def describe(data: bytes) -> tuple[str, str]:
    """The format of a file that ``decode`` takes, and its mode as Pillow names it; empty if Pillow does not read it."""
    kind = file_format(data)
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as header:
            return kind, header.mode
    except (UnidentifiedImageError, KeyError):
        return kind, ""


def _decoded(data: bytes, max_pixels: int, page: int | None, half_side: int | None, wanted: Wanted) -> Decoded:
    """Upright RGB, or one channel of grey; ``_eight_bits`` and ``_image_of`` make the one or the other."""
    kind = file_format(data)
    match kind:
        case formats.JPEG:
            return Decoded(_jpeg(data, max_pixels, page, half_side, wanted))
        case formats.PNG:
            return Decoded(_png(data, max_pixels, page))
        case formats.TIFF:
            return _tiff(data, max_pixels, page or 1)
        case formats.GIF | formats.WEBP | formats.BMP:
            return Decoded(_opened(data, kind, max_pixels, page))
    apart = decode_apart(data, kind, max_pixels, page, wanted=wanted)
    return _dicom(apart) if kind == formats.DICOM else Decoded(_apart(apart))


def _jpeg(data: bytes, max_pixels: int, page: int | None, half_side: int | None, wanted: Wanted) -> Image.Image:
    header = jpeg.read_header(data)
    _require_page(page, 1)
    half = (-(-header.width // 2), -(-header.height // 2))
    halved = (
        header.width * header.height > max_pixels
        and half_side is not None
        and min(half) >= half_side
        and header.is_common
        and header.is_sequential
    )
    _require_size(half if halved else (header.width, header.height), max_pixels)
    if not header.is_common:
        if not header.is_complete:  # which its decoder would not say
            raise broken()
        kind = formats.JPEG_LS if header.is_jpeg_ls else formats.JPEG
        size = header.width, header.height
        result = decode_apart(data, kind, max_pixels, size=size, ycc=header.is_luma_and_chroma, wanted=wanted)
        return _apart(result, header.precision)
    image: Image.Image = jpeg.open_jpeg(data)
    if halved:
        image.draft(None, (header.width // 2, header.height // 2))  # rounded down, as Pillow divides by them
        _require_size(image.size, max_pixels)
    image.load()
    opened = image
    if halved and (header.width % 2 or header.height % 2):
        # The last pixels lie half outside of the image; with all of them, the others would be shifted.
        inside = (0, 0, header.width / 2, header.height / 2)
        image = image.resize(image.size, Image.Resampling.BICUBIC, inside)
    image = _upright(image, opened)
    return _eight_bits(image)


def _png(data: bytes, max_pixels: int, page: int | None) -> Image.Image:
    data = png.without_metadata(data)
    if not png.has_sixteen_bits(data):
        return _opened(data, formats.PNG, max_pixels, page)
    image = _open(data, formats.PNG, max_pixels)
    if page is not None and page > 1:
        _require_page(page, getattr(image, "n_frames", 1))
        raise unsupported("a page of an animated PNG with 16 bits", "Export the page as a PNG of its own.")
    colour, opacity = png.sixteen_bit_samples(data)
    colour = window(colour)
    return _upright(_image_of(colour, opacity), image)


def _tiff(data: bytes, max_pixels: int, page: int) -> Decoded:
    directory = tiff.read_directory(data, page)
    image = _tiff_page(data, directory, max_pixels, page)
    return Decoded(image, FileFacts(page=page, pages=tiff.count_pages(data)))


def _tiff_page(data: bytes, directory: tiff.Directory, max_pixels: int, page: int) -> Image.Image:
    width, height = tiff.require_cheap(directory, max_pixels)
    _require_size((width, height), max_pixels)
    if not (tiff_samples.can_read(directory) and tiff_samples.is_misread(directory)):
        try:
            return _opened(directory.standing_first() if page > 1 else data, formats.TIFF, max_pixels, None)
        except UnidentifiedImageError:
            if not tiff_samples.can_read(directory):
                raise _rare_tiff(directory) from None
    colour, opacity, white_is_zero = tiff_samples.samples(directory, width, height, max_pixels)
    if colour.dtype == np.uint8:
        colour = ~colour if white_is_zero else colour
    else:
        colour = window(colour, white_is_zero=white_is_zero)
    return _turned(_image_of(colour, opacity), directory.number(tiff.ORIENTATION, 1))


def _rare_tiff(directory: tiff.Directory) -> UnknownImageType:
    bits = ", ".join(map(str, directory.numbers(tiff.BITS, 8))) or "1"
    colours, compression = directory.number(tiff.PHOTOMETRIC), directory.number(tiff.COMPRESSION, 1)
    return unsupported(f"a TIFF of a rare kind ({bits} bits; colour space {colours}; compression {compression})")


def _dicom(result: Apart) -> Decoded:
    """A DICOM file's frame, of 8 bits."""
    image = _apart(result)
    _require_size(image.size, image.width * image.height)
    dicom, told = result.told["dicom"], result.told["warnings"]
    window_used = Window(**dicom["window"]) if dicom["window"] else None
    return Decoded(image, FileFacts(Dicom(**{**dicom, "window": window_used}), warnings=tuple(told)))


def _apart(decoded: Apart, precision: int = 8) -> Image.Image:
    """What another process has decoded: an image, or samples of so many bits."""
    result = decoded.image
    if isinstance(result, Image.Image):
        _require_size(result.size, result.width * result.height)
        return _eight_bits(result)
    return _image_of(result if precision == 8 else window(result))


def _opened(data: bytes, kind: str, max_pixels: int, page: int | None) -> Image.Image:
    """Decode with Pillow alone."""
    image = _open(data, kind, max_pixels)
    if image.info.get("compression") in _BMP_RUN_LENGTH:
        raise unsupported("a run-length compressed BMP", "Save it without compression, or as PNG.")
    if page is not None and page != 1:
        _seek(image, page, max_pixels)
    if kind == formats.PNG:
        png.scale_transparent_level(image, data)
    image.load()
    if kind == formats.WEBP:
        image.fp = None  # type: ignore[attr-defined] # the pixels once more, as the decoder gave them
    image = _upright(image)
    return _eight_bits(image)


def _open(data: bytes, kind: str, max_pixels: int) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=[kind])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_large(max_pixels) from None
    _require_size(image.size, max_pixels)
    return image


def _seek(image: Image.Image, page: int, max_pixels: int) -> None:
    """Go to a page of an animation, of which all frames before it are decoded."""
    if image.format != "GIF":  # whose frames must be counted one by one
        _require_page(page, getattr(image, "n_frames", 1))
    if (page - 1) * image.width * image.height > _PIXELS_BEFORE_A_FRAME * max_pixels:
        raise NoSuchPage(
            f"Page {page} takes too long to reach. Export it as an image of its own, or send a smaller one."
        )
    for index in range(1, page):
        try:
            image.seek(index)
        except EOFError:
            raise no_such_page(page, index) from None
        if image.width * image.height > max_pixels:  # a frame of a GIF can be larger than those before it
            raise too_large(max_pixels)


def _require_page(page: int | None, count: int) -> None:
    if page is not None and page > count:
        raise no_such_page(page, count)


def _require_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise too_large(max_pixels)
    if min(width, height) < MIN_SIDE:
        raise UnusableImage(f"The image is {width}x{height} pixels. Send one of at least {MIN_SIDE}x{MIN_SIDE}.")


def _upright(image: Image.Image, header: Image.Image | None = None) -> Image.Image:
    """The image turned as its own header says, or another one."""
    try:
        orientation = (header or image).getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged EXIF block says nothing about orientation
        return image
    return _turned(image, orientation)


def _turned(image: Image.Image, orientation: Any) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(window(array_of(image)))
    elif image.has_transparency_data:
        return _over_black(image)
    elif image.mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(*profiles, "LAB", "RGB").apply(image)
    return image if image.mode in ("RGB", "L") else image.convert("RGB")


def _image_of(colour: NDArray[np.uint8], opacity: NDArray[np.uint8] | None = None) -> Image.Image:
    """An image of 8-bit samples: (height, width) or (height, width, 3)."""
    image = Image.fromarray(colour)
    if opacity is None:
        return image
    image.putalpha(Image.fromarray(opacity))
    return _over_black(image)


def _over_black(image: Image.Image) -> Image.Image:
    over_black = Image.new("RGB", image.size)
    for box in strips(image.size):
        strip = image.crop(box).convert("RGBA")
        over_black.paste(strip.convert("RGB"), box, strip.getchannel("A"))
    return over_black
