"""The decoders of the rarer formats, as the process apart calls them; see ``brain_tumor.image.apart_program``.

Each is imported when it is first needed: one that is not installed costs its own format alone.
"""

import io
from typing import Any

from brain_tumor.image.errors import ImageError


class Refused(Exception):
    """An image that is not decoded; the arguments are the output's JSON."""

    def __init__(self, kind: str, **more: Any) -> None:
        super().__init__(kind)
        self.result = {"kind": kind, **more}


def decoded(
    name: str, data: bytes, max_pixels: int, page: int, *, luma_and_chroma: bool
) -> tuple[dict[str, Any], bytes | memoryview]:
    """Decode a file: a description for JSON, and the pixels."""
    if name == "DICOM":
        return dicom(data, max_pixels, page)
    if name in ("JPEG", "JPEG-LS"):
        return jpeg(data, luma_and_chroma)
    return pillow(data, name, max_pixels, page)


def dicom(data: bytes, max_pixels: int, frame: int) -> tuple[dict[str, Any], memoryview]:
    """One frame of a DICOM file."""
    from brain_tumor.image.dicom.read import read_frame

    try:
        samples, told = read_frame(data, max_pixels, frame or None)
    except ImageError as error:
        raise Refused("refused", error=type(error).__name__, message=str(error)) from None
    return {"kind": "samples", "dtype": samples.dtype.str, "shape": samples.shape, **told}, samples.data


def jpeg(data: bytes, luma_and_chroma: bool) -> tuple[dict[str, Any], bytes | memoryview]:
    """JPEG and JPEG-LS; the caller has checked the size."""
    from libjpeg.utils import decode

    try:
        samples = decode(data, int(luma_and_chroma))
    except RuntimeError as error:
        raise Refused("too heavy" if "'-2048'" in str(error) else "broken") from None  # JPGERR_OUT_OF_MEMORY
    return {"kind": "samples", "dtype": samples.dtype.str, "shape": samples.shape}, samples.data


def pillow(data: bytes, name: str, max_pixels: int, page: int) -> tuple[dict[str, Any], bytes]:
    """The formats that Pillow or a plugin of it reads."""
    from PIL import Image, ImageOps

    if name == "JPEG XL":
        depth = jpeg_xl_depth(data, max_pixels)
        from pillow_jxl import JpegXLImagePlugin

        JpegXLImagePlugin.DECODE_THREADS, kind = 0, "JXL"
    elif name == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
        kind = "HEIF"
    elif name == "AVIF":
        from PIL import AvifImagePlugin

        AvifImagePlugin.DEFAULT_MAX_THREADS, kind = 1, "AVIF"
    else:
        from PIL import Jpeg2KImagePlugin  # noqa: F401 - without it Pillow would load all its plugins

        require_jpeg_2000(data)
        kind = "JPEG2000"
    Image.MAX_IMAGE_PIXELS = None
    image: Image.Image = Image.open(io.BytesIO(data), formats=[kind])
    if page:
        count = getattr(image, "n_frames", 1)
        if page > count:
            raise Refused("no such page", count=count)
        image.seek(page - 1)
    if image.width * image.height > max_pixels:
        raise Refused("too large")
    if name == "JPEG XL" and depth > 8 and image.mode not in ("I;16", "F"):  # the plugin keeps the upper 8 bits
        raise Refused("unsupported", what=f"a JPEG XL image in colour with {depth} bits")
    image.load()
    if name == "AVIF":  # the other formats turn the image themselves
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return {"kind": "image", "mode": image.mode, "size": image.size}, image.tobytes()


def require_jpeg_2000(data: bytes) -> None:
    """Refuse colour of more than 8 bits, of which Pillow keeps the upper 8 (ISO/IEC 15444-1, annex A.5.1)."""
    start = data.find(b"\xff\x4f\xff\x51")
    components = int.from_bytes(data[start + 40 : start + 42], "big")
    bits = [(byte & 0x7F) + 1 for byte in data[start + 42 : start + 42 + 3 * components : 3]]
    if start >= 0 and components > 1 and max(bits, default=0) > 8:
        raise Refused("unsupported", what=f"a JPEG 2000 image with {components} channels of more than 8 bits")


class Bits:
    """Reads numbers of so many bits, the least significant first."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "little")

    def __call__(self, count: int) -> int:
        """Read a number of ``count`` bits."""
        value = self._number & ((1 << count) - 1)
        self._number >>= count
        return value

    def choice(self, *counts: tuple[int, int]) -> int:
        """A number of one of four lengths, each with what is added to it."""
        offset, count = counts[self(2)]
        return offset + self(count)


def jpeg_xl_depth(data: bytes, max_pixels: int) -> int:
    """Check the size, since the plugin decodes when it opens a file (ISO/IEC 18181-1, annex D).

    Returns:
        Bits of a sample.
    """
    start = 0
    if data.startswith(b"\0\0\0\x0cJXL "):
        while data[start + 4 : start + 8] not in (b"jxlc", b"jxlp"):
            length = int.from_bytes(data[start : start + 4], "big")
            start += length
            if length < 8 or start > len(data):
                raise Refused("broken")
        start += 8 if data[start + 4 : start + 8] == b"jxlc" else 12
    if data[start : start + 2] != b"\xff\x0a":
        raise Refused("broken")
    bits = Bits(data[start + 2 : start + 66])
    width, height = jpeg_xl_size(bits)
    if width * height > max_pixels:
        raise Refused("too large")
    if bits(1):  # all of the metadata are the defaults
        return 8
    if bits(1):  # extra fields
        bits(3)  # orientation
        if bits(1):
            jpeg_xl_size(bits)  # at which it should be shown
        if bits(1):  # a preview, whose fields are not read here
            return 8
        if bits(1):  # an animation: ticks a second, their divisor, loops, time codes
            bits.choice((100, 0), (1000, 0), (1, 10), (1, 30))
            bits.choice((1, 0), (1001, 0), (1, 8), (1, 10))
            bits.choice((0, 0), (0, 3), (0, 16), (0, 32))
            bits(1)
    if bits(1):  # floats
        return bits.choice((32, 0), (16, 0), (24, 0), (1, 6))
    return bits.choice((8, 0), (10, 0), (12, 0), (1, 6))


def jpeg_xl_size(bits: Bits) -> tuple[int, int]:
    """Read a width and height."""
    small = bits(1)

    def side() -> int:
        return (bits(5) + 1) * 8 if small else bits.choice((1, 9), (1, 13), (1, 18), (1, 30))

    height, ratio = side(), bits(3)
    if not ratio:
        return side(), height
    numerator, denominator = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
    return height * numerator // denominator, height
