import struct
from pathlib import Path

import pytest
from PIL import Image

from brain_tumor.image import HEAVY_PIXELS, is_heavy
from tests.brain_tumor import images

SIDE = 2000
HEADERS = {  # of files that would have 4096x4096 pixels
    "png": images.png(4096, 4096, b""),
    "jpeg": images.plain(kind="JPEG").replace(struct.pack(">HH", 48, 64), struct.pack(">HH", 4096, 4096), 1),
    "webp, lossless": b"RIFF\x20\0\0\0WEBPVP8L\x14\0\0\0\x2f" + struct.pack("<I", 4095 | 4095 << 14 | 1 << 28),
    "webp, lossy": b"RIFF\x20\0\0\0WEBPVP8 \x14\0\0\0\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", 4096, 4096),
    "webp, extended": b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0" + b"\xff\x0f\0" * 2,
    "gif": b"GIF89a" + struct.pack("<HHBBB", 4096, 4096, 0, 0, 0),
    "gif, frame": images.gif_with_huge_frame(),
    "gif, frame after a comment": images.gif_with_huge_frame().replace(b",", b"!\xfe\x02,,\0,", 1),
    "bmp": b"BM" + bytes(12) + struct.pack("<Iii", 40, 4096, -4096),
    "bmp, os/2": b"BM" + bytes(12) + struct.pack("<IHH", 12, 4096, 4096),
    "tiff": images.encode(Image.new("1", (4096, 4096)), "TIFF", compression="group4"),
    "tiff, tile": images.tiff_with_huge_tile(),
    "jpeg, frame behind filling": images.plain(kind="JPEG").replace(b"\xff\xc0", b"\xff" * 200 + b"\xff\xc0"),
    "jpeg, million markers": b"\xff\xd8" + b"\xff\xe2\0\2" * 1_000_000,
}


def tiff_with_empty_pages(count: int) -> bytes:
    """A TIFF whose first page is good, and whose further ones say nothing."""
    data = bytearray(images.plain(kind="TIFF"))
    data += bytes(len(data) % 2)
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * entries, len(data))
    for _ in range(count - 2):
        data += struct.pack("<HI", 0, len(data) + 6)
    return bytes(data) + bytes(6)


@pytest.mark.parametrize("name", HEADERS)
def test_a_small_file_of_a_large_image_is_heavy(name):
    assert is_heavy([HEADERS[name]])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_the_pixels_of_all_images_count(kind):
    data = images.encode(Image.new("L" if kind == "GIF" else "RGB", (SIDE, SIDE // 2)), kind)
    assert SIDE * SIDE // 2 * 4 == HEAVY_PIXELS
    assert not is_heavy([data] * 4)
    assert is_heavy([data] * 4 + [images.plain()])


def test_the_frames_before_a_page_count():
    gif = images.encode(Image.new("L", (SIDE, SIDE // 2)), "GIF")
    assert not is_heavy([gif], page=4)
    assert is_heavy([gif], page=5)


def test_the_page_of_a_tiff_counts():
    small, large = Image.new("1", (32, 32)), Image.new("1", (4096, 4096))
    tiff = images.encode(small, "TIFF", save_all=True, append_images=[large], compression="group4")
    assert not is_heavy([tiff])
    assert is_heavy([tiff], page=2)


@pytest.mark.parametrize("page", [None, 1, 2000])
def test_a_tiff_of_very_many_pages_is_heavy(page):
    assert not is_heavy([tiff_with_empty_pages(999)], page)
    assert is_heavy([tiff_with_empty_pages(1000)], page)


@pytest.mark.parametrize("name", ["colour.jls", "12-bit.jpg", "colour.jxl", "16-bit.jp2"])
def test_any_image_of_a_rare_format_is_heavy(name):
    assert is_heavy([(Path(__file__).with_name("files") / name).read_bytes()])


FAR = b"II+\0\x08\0\0\0" + b"\xff" * 8  # a BigTIFF whose first page is further away than a file can be long


@pytest.mark.parametrize(
    "data", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + bytes(9), b"II*\0", FAR, b"BM"]
)
def test_what_is_no_whole_image_weighs_nothing(data):
    assert not is_heavy([data])


def test_the_beginning_of_a_file_is_no_error():
    for name in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
        data = images.plain(kind=name)
        for length in range(min(len(data), 700)):
            is_heavy([data[:length]])
