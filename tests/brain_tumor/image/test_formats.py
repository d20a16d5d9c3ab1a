import gzip
import struct

import pytest

from brain_tumor.image import FORMATS, UnknownImageType, decode
from brain_tumor.image.formats import file_format
from tests.brain_tumor import images

NIFTI = struct.pack("<i", 348).ljust(344, b"\0") + b"n+1\0" + bytes(100)
NAMED = {
    "DICOM": bytes(128) + b"DICM" + bytes(100),
    "NIfTI": NIFTI,
    "NIfTI file compressed": gzip.compress(NIFTI),
    "a file compressed": gzip.compress(bytes(3000)),
    "gzip": b"\x1f\x8b broken",
    "PDF": images.PDF,
    "SVG": images.SVG,
    "web page": b"\xef\xbb\xbf\n<!-- x --><HTML><body>Not found",
    "error page": b"<!DOCTYPE html><title>404</title>",
    "XML": b'<?xml version="1.0"?><data/>',
    "ZIP": b"PK\x03\x04" + bytes(100),
    "Photoshop": b"8BPS\0\x01" + bytes(100),
    "CR2": b"II*\0\x10\0\0\0CR\x02\0" + bytes(100),
    "CR3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(100),
    "MP4": b"\0\0\0\x18ftypisom\0\0\2\0isommp41" + bytes(100),
    "MOV": b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + bytes(100),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "MATLAB": b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(200),
    "Netpbm": b"P6 32 32 255\n" + bytes(32 * 32 * 3),
    "base64": b"/9j/4AAQSkZJRgABAQAAAQABAAD",
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "text": b"an error of a server, as text\n",
}


@pytest.mark.parametrize("name", NAMED)
def test_what_is_no_image_is_named_with_what_to_do(name):
    with pytest.raises(UnknownImageType) as caught:
        decode(NAMED[name])
    message = str(caught.value)
    assert message.startswith("This is ")
    assert name in message
    assert message.endswith(".")
    assert len(message.split(". ")) > 1 or "Decode it" in message


@pytest.mark.parametrize("data", [b"\0" * 2000, b"\x01\x02\x03\xff" * 50, b""], ids=["zeros", "bytes", "nothing"])
def test_what_has_no_name_is_told_the_formats(data):
    with pytest.raises(UnknownImageType, match="not an image") as caught:
        decode(data)
    assert all(name in str(caught.value) for name in FORMATS)


def test_brands_of_the_media_file_format():
    def brands(*names: bytes) -> bytes:
        return struct.pack(">I4s4sI", 16 + 4 * len(names[1:]), b"ftyp", names[0], 0) + b"".join(names[1:]) + bytes(50)

    assert file_format(brands(b"avif", b"mif1")) == "AVIF"
    assert file_format(brands(b"mif1", b"miaf", b"avif")) == "AVIF"
    assert file_format(brands(b"mif1", b"heic")) == "HEIF"
    for unknown in (brands(b"mif1", b"jpeg"), brands(b"isom", b"heic"), b"\xff\xff\xff\xffftyp"):
        with pytest.raises(UnknownImageType):
            file_format(unknown)
