"""The stored values of one frame: the numbers that the pixel data hold, before any meaning is given to them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from brain_tumor.image import jpeg
from brain_tumor.image.dicom.contents import PIXELS, Contents, text, whole_number
from brain_tumor.image.dicom.fragments import frame_bytes
from brain_tumor.image.dicom.structure import BIG_ENDIAN, EXPLICIT, IMPLICIT
from brain_tumor.image.errors import broken, too_large, unsupported

_NATIVE = (IMPLICIT, EXPLICIT, BIG_ENDIAN)
_JPEG = (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes)
_JPEG_2000 = (JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K)
_KNOWN = (*_NATIVE, *_JPEG, *_JPEG_2000, RLELossless)
_VIDEO = "1.2.840.10008.1.2.4.1"  # MPEG-2 to HEVC: .100 to .108
_KINDS = ("OB", "OW", "OF", "OD")
_SLOW = (*JPEGLSTransferSyntaxes, *_JPEG_2000)  # whose decoders take more memory and time for each pixel


def stored_values(contents: Contents, max_pixels: int) -> tuple[NDArray[Any], str]:
    """Decode one frame.

    Args:
        contents: What the file says of it.
        max_pixels: Largest count of pixels; half of it for JPEG-LS and JPEG 2000.

    Returns:
        Shape (height, width) or (height, width, 3); and what the values mean, in DICOM's words (MONOCHROME2, RGB, ...).

    Raises:
        ImageTooLarge: There are too many pixels.
        UnknownImageType: The compression, or the count of channels, is one that nothing decodes.
        BrokenImage: The pixel data are damaged, or contradict what the file says of them.
    """
    structure, data_set = contents.structure, contents.data_set
    rows, columns = whole_number(data_set, "Rows") or 0, whole_number(data_set, "Columns") or 0
    syntax = structure.transfer_syntax
    if syntax not in _KNOWN:
        raise _unknown_compression(syntax)
    if rows * columns > max_pixels // (2 if syntax in _SLOW else 1):
        raise too_large(max_pixels // (2 if syntax in _SLOW else 1))
    samples = data_set.setdefault("SamplesPerPixel", 1).value
    if samples not in (1, 3):
        raise unsupported("a DICOM file with two, four or more channels", "Export the image as PNG.")
    tag = next((tag for tag in PIXELS if tag in structure.elements), None)
    if tag is None or not rows or not columns:
        raise broken()
    element = structure.elements[tag]
    if syntax in _NATIVE and not element.is_undefined:
        plugin = ""
        pixels, index = _native_frame(contents, structure.data[element.start : element.end], rows * columns * samples)
    else:
        plugin = "pillow" if syntax == JPEGBaseline8Bit else "pylibjpeg"
        compressed = frame_bytes(structure, element, contents.frame, contents.frames)
        _require_size(compressed, syntax, (columns, rows))
        pixels, index = encapsulate([compressed], has_bot=False), 0
    kind = "OW" if structure.is_implicit else structure.data[element.head + 4 : element.head + 6].decode("latin-1")
    data_set.add_new(tag, kind if kind in _KINDS else "OW", pixels)
    data_set[tag].is_undefined_length = plugin != ""
    data_set.NumberOfFrames = index + 1
    try:
        values, meaning = get_decoder(syntax).as_array(data_set, index=index, decoding_plugin=plugin)
    except (MemoryError, ImportError):
        raise
    except Exception:  # whatever pydicom and the decoders find no words for
        raise broken() from None
    native = values.astype(values.dtype.newbyteorder("="), copy=False)  # what follows looks at bytes
    return native, str(meaning["photometric_interpretation"])


def _native_frame(contents: Contents, pixels: bytes, samples: int) -> tuple[bytes, int]:
    """The bytes with the frame in them, and its index there."""
    bits = whole_number(contents.data_set, "BitsAllocated") or 0
    if text(contents.data_set, "PhotometricInterpretation") == "YBR_FULL_422":
        samples = samples // 3 * 2
    length, rest = divmod(samples * bits, 8)
    if bits < 8 or rest or contents.frames == 1:  # frames of single bits do not begin with a byte
        return pixels, contents.frame - 1
    return pixels[(contents.frame - 1) * length : contents.frame * length], 0


def _require_size(compressed: bytes, syntax: str, size: tuple[int, int]) -> None:
    """Refuse compressed pixels of another size than the file says, before a decoder believes them."""
    inside = size
    if syntax in _JPEG:
        header = jpeg.read_header(compressed)
        if not header.is_complete:  # which its decoder would not say
            raise broken()
        inside = header.width, header.height
    elif syntax in _JPEG_2000:  # ISO/IEC 15444-1, A.5.1
        start = compressed.find(b"\xff\x4f\xff\x51") + 8
        right, bottom, left, top = np.frombuffer(compressed[start : start + 16].ljust(16, b"\0"), ">u4").tolist()
        inside = right - left, bottom - top
    elif syntax != RLELossless:
        raise _unknown_compression(syntax)
    if inside != size:
        raise broken()


def _unknown_compression(syntax: str) -> Exception:
    if syntax.startswith(_VIDEO):
        return unsupported("a DICOM video", "Export a frame as an image.")
    return unsupported(
        "a DICOM file with a rare compression", "Save it without compression, for example as Explicit VR Little Endian."
    )
