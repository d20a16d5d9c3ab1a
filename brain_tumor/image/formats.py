"""Which format a file has, by its content."""

from brain_tumor.image.dicom.start import has_dicom_mark, is_data_set
from brain_tumor.image.errors import UnknownImageType
from brain_tumor.image.foreign import foreign_error

JPEG, PNG, WEBP, GIF, BMP, TIFF = "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"
JPEG_2000, JPEG_LS, JPEG_XL, AVIF, HEIF, DICOM = "JPEG 2000", "JPEG-LS", "JPEG XL", "AVIF", "HEIF", "DICOM"
FORMATS = {
    JPEG: "image/jpeg",
    PNG: "image/png",
    WEBP: "image/webp",
    GIF: "image/gif",
    BMP: "image/bmp",
    TIFF: "image/tiff",
    JPEG_2000: "image/jp2",
    JPEG_LS: "image/jls",
    JPEG_XL: "image/jxl",
    AVIF: "image/avif",
    HEIF: "image/heic",
    DICOM: "application/dicom",
}
_USUAL_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
SUFFIXES = frozenset(
    (*_USUAL_SUFFIXES, ".jp2", ".j2k", ".jls", ".jxl", ".avif", ".heic", ".heif", ".dcm")
)  # of image files
_BEGINNINGS = {
    b"\xff\xd8\xff": JPEG,  # and JPEG-LS, which brain_tumor.image.jpeg tells apart
    b"\x89PNG\r\n\x1a\n": PNG,
    b"GIF87a": GIF,
    b"GIF89a": GIF,
    b"II*\0": TIFF,
    b"MM\0*": TIFF,
    b"II+\0": TIFF,  # BigTIFF
    b"MM\0+": TIFF,
    b"\x00\x00\x00\x0cjP  \r\n\x87\n": JPEG_2000,
    b"\xff\x4f\xff\x51": JPEG_2000,  # a codestream without a file format around it
    b"\x00\x00\x00\x0cJXL \r\n\x87\n": JPEG_XL,
    b"\xff\x0a": JPEG_XL,
    b"BM": BMP,
}
# Brands of the ISO base media file format (ISO/IEC 23008-12 and AV1 Image File Format); other brands are videos.
_BRANDS = {
    b"avif": AVIF,
    b"avis": AVIF,
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), HEIF),
}
_GENERAL_BRANDS = (b"mif1", b"msf1", b"mif2", b"miaf")  # which codec is used, the compatible brands say
_MAX_BRANDS = 64


def file_format(data: bytes) -> str:
    """The name of a file's format: a key of ``FORMATS``.

    Raises:
        UnknownImageType: The format is not one of ``FORMATS``; the message names it where it is known.
    """
    if has_dicom_mark(data):  # first, since a preamble may be the beginning of a TIFF
        return DICOM
    for beginning, name in _BEGINNINGS.items():
        if data.startswith(beginning) and not (data[8:10] == b"CR" and name == TIFF):  # CR2, a raw photo
            return name
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WEBP
    if data[4:8] == b"ftyp":
        size = min(int.from_bytes(data[:4], "big"), 16 + 4 * _MAX_BRANDS)
        brands = [data[start : start + 4] for start in (8, *range(16, size - 3, 4))]
        if brands[0] in _BRANDS or brands[0] in _GENERAL_BRANDS:
            for brand in brands:
                if brand in _BRANDS:
                    return _BRANDS[brand]
    if is_data_set(data):
        return DICOM
    raise foreign_error(data) or UnknownImageType(f"The content is not an image. Send one of: {', '.join(FORMATS)}.")
