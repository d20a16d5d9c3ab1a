"""What a file is instead of an image that can be decoded: its name, and what the sender can do."""

import string
import zlib

from brain_tumor.image.errors import UnknownImageType, unsupported

_START = 1024  # bytes in which text formats show what they are
_TEXT = frozenset(string.printable.encode())

_EXPORT = "Export the image as PNG or JPEG."
_SLICES = "Export the slices as PNG or TIFF, and send each one."
_UNPACK = "Unpack it, and send the images in it."
_FRAME = "Export a frame as PNG or JPEG."
_FILE = "Send the image file itself."
_PHOTO = "Develop it with the camera's program, and send a JPEG or TIFF."

# Where a format's mark stands, the mark, the format's name, what to do.
_SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    (128, b"DICM", "a DICOM file", "Unpack it."),  # which is compressed: others are read
    (344, b"n+1\0", "a NIfTI file", _SLICES),
    (344, b"ni1\0", "a NIfTI file", _SLICES),
    (4, b"n+2\0\r\n\x1a\n", "a NIfTI file", _SLICES),
    (0, b"NRRD000", "an NRRD file", _SLICES),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", _SLICES),
    (0, b"MATLAB 7.3 MAT-file", "a MATLAB file", "Export the image as PNG, for example with imwrite."),
    (0, b"MATLAB 5.0 MAT-file", "a MATLAB file", "Export the image as PNG, for example with imwrite."),
    (0, b"\x93NUMPY", "a NumPy file", _EXPORT),
    (0, b"CDF\x01", "a NetCDF or MINC file", _SLICES),
    (0, b"CDF\x02", "a NetCDF or MINC file", _SLICES),
    (0, b"SIMPLE  =", "a FITS file", _EXPORT),
    (0, b"%!PS", "a PostScript file", _EXPORT),
    (0, b"8BPS", "a Photoshop file", _EXPORT),
    (0, b"gimp xcf", "a GIMP file", _EXPORT),
    (0, b"PK\x03\x04", "a ZIP archive or an Office document", _UNPACK),
    (0, b"PK\x05\x06", "a ZIP archive", _UNPACK),
    (0, b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"BZh", "a bzip2 archive", _UNPACK),
    (0, b"\xfd7zXZ\0", "an xz archive", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive", _UNPACK),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document", "Save its images as files, and send those."),
    (8, b"CR", "a raw photo (CR2)", _PHOTO),
    (0, b"FUJIFILMCCD-RAW", "a raw photo (RAF)", _PHOTO),
    (0, b"IIU\0", "a raw photo (RW2)", _PHOTO),
    (0, b"IIRO", "a raw photo (ORF)", _PHOTO),
    (0, b"IIRS", "a raw photo (ORF)", _PHOTO),
    (0, b"MMOR", "a raw photo (ORF)", _PHOTO),
    (0, b"FOVb", "a raw photo (X3F)", _PHOTO),
    (4, b"ftypcrx ", "a raw photo (CR3)", _PHOTO),
    (4, b"ftypjxs ", "a JPEG XS file", _EXPORT),
    (4, b"ftyp", "a video or another media file (MP4, MOV, ...)", _FRAME),
    (4, b"moov", "a QuickTime video", _FRAME),
    (4, b"mdat", "a QuickTime video", _FRAME),
    (4, b"wide", "a QuickTime video", _FRAME),
    (0, b"\x1a\x45\xdf\xa3", "a Matroska or WebM video", _FRAME),
    (8, b"AVI LIST", "an AVI video", _FRAME),
    (8, b"WAVE", "a sound file", _FILE),
    (0, b"\x00\x00\x01\xba", "an MPEG video", _FRAME),
    (0, b"\x00\x00\x01\xb3", "an MPEG video", _FRAME),
    (0, b"\x00\x00\x01\x00", "an icon", _EXPORT),
    (0, b"II\xbc", "a JPEG XR file", _EXPORT),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR file", _EXPORT),
    (0, b"#?RADIANCE", "a Radiance HDR file", _EXPORT),
    (0, b"qoif", "a QOI file", _EXPORT),
    (0, b"DDS ", "a DDS texture", _EXPORT),
    (0, b"BPG\xfb", "a BPG file", _EXPORT),
    (0, b"AT&TFORM", "a DjVu document", _EXPORT),
    (0, b"icns", "an icon", _EXPORT),
    (0, b"SQLite format 3\0", "a database", _FILE),
    (0, b"\x7fELF", "a program", _FILE),
    (0, b"bplist00", "a property list", _FILE),
    (0, b"data:image/", "an image as base64 text", 'Decode it, or send it as JSON: {"image": "<base64>"}.'),
    (0, b"/9j/", "an image as base64 text", 'Decode it, or send it as JSON: {"image": "<base64>"}.'),
    (0, b"iVBORw0KGgo", "an image as base64 text", 'Decode it, or send it as JSON: {"image": "<base64>"}.'),
    (
        0,
        b"version https://git-lfs.github.com/",
        "a Git LFS pointer",
        "Fetch the file with git lfs pull, and send that.",
    ),
    *((0, b"P%d%c" % (kind, space), "a Netpbm image", _EXPORT) for kind in range(1, 8) for space in b"\n \r\t"),
)
# Names in the first bytes of text, in lower case.
_WORDS: tuple[tuple[bytes, str, str], ...] = (
    (b"%pdf-", "a PDF document", "Export its page as PNG or JPEG."),
    (b"<!doctype html", "a web page, perhaps an error page that was saved as an image", _FILE),
    (b"<html", "a web page, perhaps an error page that was saved as an image", _FILE),
    (b"<svg", "an SVG drawing", _EXPORT),
)


def foreign_error(data: bytes) -> UnknownImageType | None:
    """The error that names a file and says what to do; None if the file is of no known kind."""
    if data.startswith(b"\x1f\x8b"):
        return _gzip_error(data)
    named = _name(data)
    return unsupported(*named) if named else None


def _name(data: bytes) -> tuple[str, str] | None:
    for offset, mark, name, advice in _SIGNATURES:
        if data.startswith(mark, offset):
            return name, advice
    start = data[:_START].lower()
    for word, name, advice in _WORDS:
        if word in start:
            return name, advice
    if data and start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<?xml"):
        return "an XML file", _FILE
    if len(data) == data.count(b"\0"):
        return None
    return ("text", _FILE) if start and _TEXT.issuperset(start) else None


def _gzip_error(data: bytes) -> UnknownImageType:
    try:
        inside = _name(zlib.decompressobj(wbits=31).decompress(data, _START))
    except zlib.error:
        inside = None
    name, advice = inside or ("a file", _UNPACK)
    return unsupported(f"{name} compressed with gzip", advice)
